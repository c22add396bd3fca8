"""Counts: the totals of a day, by quarter hour and hour of the store."""
