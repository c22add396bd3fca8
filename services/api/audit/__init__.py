"""The log of changes, to be read."""
