"""Digest of a random secret, which the database stores in its place."""

from __future__ import annotations

import hashlib


def digest(secret: str) -> str:
    """SHA-256 of a random secret. It cannot be guessed, and needs neither salt nor a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
