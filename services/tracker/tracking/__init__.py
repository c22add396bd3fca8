"""Tracking by detection: joins the boxes of successive frames into tracks. Pure."""
