"""What the database holds in place of a key or a refresh token."""

from __future__ import annotations

import hashlib


def digest(secret: str) -> str:
    """Of what was drawn at random; nobody guesses it, so no salt and no slowness are needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
