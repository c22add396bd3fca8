"""Counting: crossings of lines, and simplified paths, from the tracks of a camera. Pure."""
