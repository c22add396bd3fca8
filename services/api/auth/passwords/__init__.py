"""Passwords: hashing, their strength, and choosing a new one."""
