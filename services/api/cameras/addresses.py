"""Addresses of cameras: sealed in the database, since they can contain a password."""

from __future__ import annotations

import re

from services.kit.vault import CannotOpen, Vault

LOCKED = Vault(None)
"""A vault without a key."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)


def sealed(address: str, vault: Vault) -> str:
    """An address as it is stored: sealed; or in the clear without a secret key, if it cannot contain a password.

    Raises:
        CannotOpen: the address is of a network stream, and there is no secret key.
    """
    if vault.usable:
        return vault.seal(address)
    if is_local(address):
        return address
    raise CannotOpen(
        "the address of a camera in the network may hold its password, and is kept only sealed: set METRICA_SECRET_KEY "
        "(`openssl rand -hex 32`), the same for the api and ingest"
    )


def is_local(address: str) -> bool:
    """Tell whether an address is of a simulation, a file or a device of the machine."""
    scheme = _SCHEME.match(address.strip())
    return "@" not in address and (scheme is None or scheme[1].lower() in {"sim", "file"})


def open_or_leave(address: str, vault: Vault) -> str:
    """An address in the clear; unchanged if the vault cannot open it."""
    try:
        return vault.open(address)
    except CannotOpen:
        return address
