"""The rules of persistence."""
