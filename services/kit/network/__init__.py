"""Addresses of machines: which may be cameras, and which belong to Metrica itself."""
