"""Runs beside the live one: how they begin and end, what they are fed with, and how they are compared."""
