"""Passwords that are made once and kept: one file each, readable for its owner only."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

_PASSWORD = re.compile(r"[A-Za-z0-9_-]{20,}")


def load_passwords(folder: Path, kind: str, users: Iterable[str]) -> dict[str, str]:
    """Load the users' passwords from `folder/{kind}-{user}`; missing or damaged ones are made.

    The folder's mode becomes 0700, the files' 0600.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return {user: _load(folder / f"{kind}-{user}") for user in users}


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, atomically, and never through a symbolic link."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o600)  # independent of the umask
    new.replace(path)


def _load(path: Path) -> str:
    try:
        password = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        password = ""
    if not _PASSWORD.fullmatch(password):
        password = secrets.token_urlsafe(24)
        write_private(path, password + "\n")
    path.chmod(0o600)
    return password
