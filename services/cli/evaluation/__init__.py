"""Comparison of counts and tracks with the truth."""
