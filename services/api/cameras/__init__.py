"""Cameras: their pictures."""
