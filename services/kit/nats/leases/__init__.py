"""Leases: which replica works on what, and the assignment of items to replicas."""
