"""Launcher of each process: ties its life to its parent's, gives up all rights, and executes the program.

Run as `python launch.py ORDERS PROGRAM ARGUMENTS…`, not imported: a child of a process with threads must not run
Python code between fork and exec, so this small program is executed first and replaces itself. It imports little of the
standard library, as each process waits for it (argparse and pathlib alone take 15 ms), and all of it at the top: later
the Python installation may be behind a closed folder.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import sys

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_SLAVE = 1 << 12, 1 << 14, 1 << 19
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_SYS_MOUNT_SETATTR = 442  # the same on every architecture: it is younger than their common table
_PR_SET_PDEATHSIG, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 1, 23, 24
_PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 28, 38, 39
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
MOST_FILES = 1 << 20
"""Greatest useful number of open files. Without a limit, some programs iterate over all possible descriptors."""

_libc = ctypes.CDLL(None, use_errno=True)


class Orders:
    """The launcher's orders, passed as JSON.

    Args:
        parent: id of the parent process.
        death_signal: signal to receive when the parent ends; 0 for none.
        folder: working directory.
        user: user and group id to change to; None for no change.
        groups: supplementary groups.
        covers: closed folders to cover by an empty one; see `infra.local.view`.
        links: symbolic links to make in them, with their targets.
        binds: files and folders to bind-mount into them, outer ones first, and true for writable ones.
    """

    def __init__(
        self,
        parent: int,
        death_signal: int,
        folder: str,
        user: tuple[int, int] | None = None,
        groups: tuple[int, ...] = (),
        covers: tuple[str, ...] = (),
        links: tuple[tuple[str, str], ...] = (),
        binds: tuple[tuple[str, bool], ...] = (),
    ) -> None:
        self.parent, self.death_signal, self.folder = parent, death_signal, folder
        self.user, self.groups = user, groups
        self.covers, self.links, self.binds = covers, links, binds


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def cover_folders(orders: Orders) -> None:
    """Cover each closed folder by an empty one, for this process only, and bind-mount the files that it needs.

    All paths stay the same; other contents of the closed folders are hidden.
    """
    os.umask(0o022)
    _checked(_libc.unshare(_CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    _mount(None, "/", None, _MS_REC | _MS_SLAVE, None)  # our mounts do not propagate out; later mounts propagate in
    sources = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path, _ in orders.binds]
    for folder in orders.covers:
        _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "mode=755,size=1m")
    for path, target in orders.links:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    for (path, writable), source in zip(orders.binds, sources, strict=True):
        opened = f"/proc/self/fd/{source}"
        _make_mount_point(path, is_folder=os.path.isdir(opened))
        _mount(opened, path, None, _MS_BIND | _MS_REC, None)
        _restrict(path, _MS_NOSUID | _MS_NODEV | (_MS_NOEXEC if writable else _MS_RDONLY), _AT_RECURSIVE)
        os.close(source)
    for folder in orders.covers:
        _restrict(folder, _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_RDONLY, 0)


def change_user(uid: int, gid: int, groups: tuple[int, ...]) -> None:
    """Change from root to an ordinary user with exactly these supplementary groups."""
    _empty_bounding_set()
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(0o077)


def give_up_rights() -> None:
    """Drop all capabilities, and prevent programs from gaining any.

    Raises:
        PermissionError: a right is left.
    """
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _checked(_libc.capset(_capability_header(), (ctypes.c_uint32 * 6)()), "capset")
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    left = (ctypes.c_uint32 * 6)()
    _checked(_libc.capget(_capability_header(), left), "capget")
    if any(left) or _libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise PermissionError(errno.EPERM, f"rights are left that should be gone: capabilities {list(left)}")
    if 0 in (*os.getresuid(), *os.getresgid(), *os.getgroups()):
        raise PermissionError(errno.EPERM, "it would run as root")


def die_with_parent(parent: int, death_signal: int) -> None:
    """Ask the kernel to send `death_signal` when the parent's forking thread ends, for whatever reason."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one: shells set 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _empty_bounding_set() -> None:
    """Drop all capabilities from the bounding set, if we have the right to (CAP_SETPCAP)."""
    capability = 0
    while _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        capability += 1
    _libc.prctl(_PR_SET_SECUREBITS, 0, 0, 0, 0)  # so that the change of user drops the capabilities


def _capability_header() -> ctypes.Array[ctypes.c_uint32]:
    return (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)


def _make_mount_point(path: str, *, is_folder: bool) -> None:
    if os.path.exists(path):  # in a folder that is bind-mounted already
        return
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _restrict(path: str, flags: int, how: int) -> None:
    """Add flags to a mount, and keep its others."""
    attributes = _Attributes(attr_set=flags)  # the four flags have the same numbers as the attributes
    size = ctypes.sizeof(attributes)
    if _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), how, ctypes.byref(attributes), size) == 0:
        return
    if ctypes.get_errno() != errno.ENOSYS:
        _checked(-1, f"mount_setattr({path})")
    _mount(None, path, None, _MS_REMOUNT | _MS_BIND | flags, None)  # before Linux 5.12


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    result = _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3])
    _checked(result, f"mount({target})")


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    """Carry out the orders, and execute the program."""
    orders, command = Orders(**json.loads(sys.argv[1])), sys.argv[2:]
    try:
        if orders.covers:
            cover_folders(orders)
        if orders.user:
            change_user(*orders.user, orders.groups)
        give_up_rights()
        raise_open_files()
        os.chdir(orders.folder)  # after the mounts: before, it would be the folder beneath the cover
        die_with_parent(orders.parent, orders.death_signal)  # a change of user would have cleared it
        os.execv(command[0], command)  # noqa: S606  # executes the program in place of this one
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        sys.exit(f"{command[0]} can't be started: {error.strerror or error}{where}")


if __name__ == "__main__":
    main()
