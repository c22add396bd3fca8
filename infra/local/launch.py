"""What stands between us and each process we start: tie its life to ours, step down from root, become the program.

Run as `python launch.py OPTIONS PROGRAM ARGUMENTS…`, not imported: a child of a process with threads must not run
Python code between fork and exec, so this small program is executed first and replaces itself. Standard library only.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Ask the kernel for `death_signal` when the parent's thread that started us ends, however it ends."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def become(uid: int, gid: int, *, through_private_folders: bool) -> None:
    """Give up root for an ordinary user.

    Args:
        uid: who to become.
        gid: its group.
        through_private_folders: keep one capability of root's: to pass through folders that are closed to this user,
            such as a home of mode 0700 in which the project lies.
    """
    if through_private_folders:
        # Capabilities then outlive the change of user, and access(2), which Postgres asks, heeds them.
        _checked(_libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0), "prctl(PR_SET_SECUREBITS)")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if not through_private_folders:
        return
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):  # containers often have the second only
        if _keep(capability):
            return
    raise PermissionError(f"user {uid} can't enter the project's folders, and root here has no right to let it in")


def _keep(capability: int) -> bool:
    """Keep one capability through the change of user and, being ambient, through exec (capabilities(7))."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable of capabilities 0 to 31, then the same of 32 to 63
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if _libc.capset(header, sets) != 0:
        return False
    return bool(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    """Do what the options say and become the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--user", type=int, nargs=2, metavar=("UID", "GID"))
    parser.add_argument("--through-private-folders", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        if options.user:
            become(*options.user, through_private_folders=options.through_private_folders)
        die_with_parent(options.parent, options.death_signal)  # a change of user would have cleared it
        os.execv(options.command[0], options.command)  # noqa: S606  # to become the program is the point
    except OSError as error:
        sys.exit(f"{options.command[0]} can't be started: {error}")


if __name__ == "__main__":
    main()
