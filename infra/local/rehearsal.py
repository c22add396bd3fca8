"""Trial of the change from root to an ordinary user, to report limits of this machine before anything is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from contracts.streams import Owner
from infra.local.errors import LocalError
from infra.local.processes.process import kill_session, spawn, tail
from infra.local.processes.unprivileged import (
    check_programs,
    is_root,
    nats_user,
    postgres_user,
    program_folders,
    service_user,
)
from infra.local.view import plan_mounts

TRIAL_TIMEOUT = 30.0
_NEEDED = {0: "CAP_CHOWN", 5: "CAP_KILL", 6: "CAP_SETGID", 7: "CAP_SETUID"}
_CHECK_READABLE = (
    "import os, sys; missing = [path for path in sys.argv[1:] if not os.access(path, os.R_OK)]; "
    "sys.exit(f'{missing[0]} can\\'t be read' if missing else 0)"
)


def rehearse(reads: Sequence[Path], writes: Sequence[Path], log: Path) -> None:
    """Change from root to a service's user once, and check that it can reach its files.

    Args:
        reads: the external files; the programs are added.
        writes: folders of our data.
        log: file for the trial's output.

    Raises:
        LocalError: it fails on this machine; with the remedy.
    """
    if not is_root():
        return
    if lacking := [name for bit, name in _NEEDED.items() if not _effective() >> bit & 1]:
        raise LocalError(
            f"root lacks {', '.join(lacking)} here, without which no service can run as an ordinary user: "
            "grant it (docker run --cap-add), or start Metrica as an ordinary user"
        )
    check_programs()
    nats_user(), postgres_user()  # raise for a missing user
    for owner in Owner:
        service_user(owner)
    reads = [*program_folders(), *reads]
    user = service_user(Owner.INGEST)
    mounts = plan_mounts(user, reads, writes) if user else None
    command: list[str | Path] = [sys.executable, "-I", "-S", "-c", _CHECK_READABLE, *reads]
    process = spawn(command, log=log, user=user, reads=reads, writes=writes)
    try:
        failed = process.wait(TRIAL_TIMEOUT) != 0
    except subprocess.TimeoutExpired:
        failed = True
    finally:
        kill_session(process)
    if not failed:
        return
    if mounts is not None and any(step in tail(log) for step in ("unshare(", "mount(", "mount_setattr(")):
        raise LocalError(
            f"{' and '.join(mounts.covers)} is closed to everybody but root, no service runs as root, and root has no "
            f"right to mount here ({tail(log)}): move Metrica and its data to where everybody may pass "
            "(METRICA_HOME=/path/to/folder names the data's), or start it as an ordinary user"
        )
    raise LocalError(f"no service can run as an ordinary user here: {tail(log)}; start Metrica as an ordinary user")


def _effective() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
