"""Occupancy: people inside a store now and over a day, and corrections."""
