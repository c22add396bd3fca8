"""Occupancy: how many are inside a store now and over the day, and what people say of it."""
