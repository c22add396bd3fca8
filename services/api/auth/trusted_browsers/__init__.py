"""Browsers in which an account has signed in before."""
