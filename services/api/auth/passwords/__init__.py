"""Passwords: hashing, strength and changes."""
