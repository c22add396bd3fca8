"""Stores: settings and present state."""
