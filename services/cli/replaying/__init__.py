"""Runs other than the live one: their lifecycle, the feeding with stored data, comparisons and promotions."""
