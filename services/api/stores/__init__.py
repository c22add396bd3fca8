"""Stores: what there is, and how it does now."""
