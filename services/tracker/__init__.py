"""Tracker: detections in, crossings, paths and live tracks out."""
