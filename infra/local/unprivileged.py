"""Which ordinary user a server runs as when we are root: Postgres refuses root."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from infra.local.child import User
from infra.local.errors import LocalError


def server_user(data: Path, programs: Path) -> User | None:
    """The user for a server; None where we are an ordinary user ourselves.

    As root: whoever owns the data already (an ordinary user's, now started with sudo), else `nobody`.

    Args:
        data: the server's own folder, existing.
        programs: the folder of its programs.

    Raises:
        LocalError: this user has no name, which Postgres does not accept.
    """
    if os.geteuid() != 0:
        _entry(os.geteuid())
        return None
    owner = data.stat().st_uid
    entry = (_lookup(owner) if owner != 0 else None) or pwd.getpwnam("nobody")
    user = User(entry.pw_uid, entry.pw_gid)
    if all(_may_enter(user, folder) for path in (data.resolve(), programs.resolve()) for folder in path.parents):
        return user
    return User(user.uid, user.gid, through_private_folders=True)


def give(paths: Iterable[Path], user: User | None) -> None:
    """Make the user the owner of these files and folders."""
    if user is not None:
        for path in paths:
            os.chown(path, user.uid, user.gid)


def _may_enter(user: User, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _lookup(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _entry(uid: int) -> pwd.struct_passwd:
    entry = _lookup(uid)
    if entry is None:
        raise LocalError(
            f"user {uid} has no entry in /etc/passwd, and Postgres does not start without: "
            f"add one (useradd --uid {uid} metrica), or run as another user"
        )
    return entry
