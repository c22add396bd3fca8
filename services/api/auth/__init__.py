"""Signing in: who asks, and how they show it."""
