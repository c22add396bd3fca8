"""Invented history, for demonstrations and tests."""
