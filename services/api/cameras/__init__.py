"""Cameras: set up, tried out, seen, and how they did."""
