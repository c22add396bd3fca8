"""Ingest: reads cameras and files, publishes their frames."""
