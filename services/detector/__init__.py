"""Detector: frames in, detections out."""
