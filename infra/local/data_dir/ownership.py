"""A start by root on an ordinary user's data (`sudo ./taskw up`): root changes to that user first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from infra.local.data_dir.data_dir import check_unused
from infra.local.processes.process import launch_command
from infra.local.processes.unprivileged import NO_HOME, account, give_all, is_root, program_folders, without_roots_own
from infra.local.view import SystemUser, reachable


def become_owner(home: Path, camera: str | None) -> None:
    """Restart as the owner of the data folder, if we are root and the owner is an ordinary user; then does not return.

    The folder's contents are given back to the owner: so the data never belongs to root in part, and the owner can
    start Metrica without root the next time.

    Args:
        home: the data folder, which need not exist.
        camera: the requested address; a file's is absolute.

    Raises:
        LocalError: another stack runs there.
    """
    if not is_root() or not home.is_dir() or (owner := home.stat().st_uid) == 0:
        return
    check_unused(home)
    entry = account(owner)
    group = entry.pw_gid if entry else home.stat().st_gid
    groups = os.getgrouplist(entry.pw_name, group) if entry else []
    user = SystemUser(owner, group, tuple(number for number in groups if number != 0))
    give_all(home, user.uid, user.gid)
    reads = [*program_folders(), *([Path(camera)] if camera and camera.startswith("/") else [])]
    here = Path.cwd()
    again = [*sys.orig_argv[1:], f"METRICA_HOME={home.absolute()}", *([f"CAMERA={camera}"] if camera else [])]
    command = launch_command(
        [sys.executable, *again],
        parent=os.getppid(),
        death_signal=0,
        cwd=here if reachable(user, here) else Path("/"),
        user=user,
        reads=reads,
        writes=[home.absolute()],
    )
    environment = without_roots_own(dict(os.environ), Path(entry.pw_dir) if entry else Path(NO_HOME))
    os.execve(sys.executable, command, environment)  # noqa: S606  # the same program, as another user
