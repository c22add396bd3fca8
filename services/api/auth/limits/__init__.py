"""Limits of attempts and requests, counted in the database so that replicas share them."""
