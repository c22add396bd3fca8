"""Addresses of machines: cameras, clients and proxies, and this machine itself."""
