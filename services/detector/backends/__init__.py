"""Detector backends with networks: their runtimes, letterboxing, slicing, and decoding of outputs."""
