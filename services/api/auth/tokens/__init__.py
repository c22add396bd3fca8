"""Tokens and keys by which a caller is recognised, and the keys that sign them."""
