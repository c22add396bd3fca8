"""Promotions: a run's counts in place of the live ones, for a line and a period."""
