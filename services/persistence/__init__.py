"""Persistence: crossings in, rows and counts out."""
