"""The start by root on an ordinary user's data (`sudo ./taskw up`): root then is that user from the first step on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from infra.local.errors import LocalError
from infra.local.home import check_unused
from infra.local.unprivileged import account, give_all, is_root


def become_owner(home: Path) -> None:
    """Become the owner of the data folder, if we are root and it is an ordinary user's; what is in it is theirs again.

    So the data is never partly root's, and its owner can start Metrica by themselves the next time.

    Raises:
        LocalError: another stack runs there, or the owner may not read the program.
    """
    if not is_root() or not home.is_dir() or (owner := home.stat().st_uid) == 0:
        return
    check_unused(home)
    entry = account(owner)
    group = entry.pw_gid if entry else home.stat().st_gid
    give_all(home, owner, group)
    if entry:
        os.initgroups(entry.pw_name, group)
    else:
        os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(owner, owner, owner)
    os.environ["HOME"] = entry.pw_dir if entry else "/nonexistent"
    for name in [name for name in os.environ if name.startswith(("XDG_", "SUDO_"))]:
        del os.environ[name]
    if not all(os.access(path, os.R_OK) for path in (sys.executable, sys.prefix, Path(__file__), home)):
        name = entry.pw_name if entry else str(owner)
        raise LocalError(
            f"the data folder {home} belongs to {name}, who may not read {Path(__file__).parents[2]}: "
            f"give root the data (chown -R root: {home}), or lay the project where {name} may read it"
        )
