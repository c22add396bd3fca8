"""Tokens and keys that identify a caller, and the keys that sign tokens."""
