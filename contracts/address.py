"""Addresses of cameras, as people may see them."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)\S*@")  # to the last @: a password may hold / and @ itself
_SECRETS = re.compile(r"(?<=[?&])((?:\w*(?:pass|pwd|token|secret|key|user|auth)\w*))=[^&#\s]*", re.IGNORECASE)


def redact(address: str) -> str:
    """An address as people may see it: user names, passwords and tokens are gone."""
    return _SECRETS.sub(r"\1=***", _CREDENTIALS.sub("***@", address))


def holds_secret(address: str) -> bool:
    """Whether there is something in an address that nobody may see."""
    return redact(address) != address
