"""Ordinary users for all processes that are started by root, and the ownership of their files.

Each service, nats-server and Postgres have their own user: none can read another's passwords and files, trace it or end
it. The services' user ids need no account; Postgres does not start without one.
"""

from __future__ import annotations

import compileall
import os
import pwd
import stat
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from contracts.streams import Owner
from infra.local.errors import LocalError
from infra.local.view import SystemUser, closed_to_others

ROOT = Path(__file__).parents[3]
"""The project's folder."""
FIRST_UID = 65521
"""First user id. Debian and systemd leave 65520 to 65533 unassigned, and containers with mapped users have them."""
FIRST_UID_SETTING = "METRICA_FIRST_UID"
NATS = "nats"
POSTGRES_ACCOUNTS = ("metrica", "nobody")
"""Accounts for Postgres, by preference."""
NO_HOME = "/nonexistent"
_ORDER: tuple[str, ...] = (*(owner for owner in Owner if owner is not Owner.REPLAY), NATS, Owner.REPLAY)
"""A service that is new comes last: the others keep their ids, and so their files."""
_SOURCES = ("contracts", "dashboards/live/dist", "infra", "services", "tests")
_DEVICES = {Owner.INGEST: "video*", Owner.DETECTOR: "dri/renderD*"}
"""Devices in /dev: cameras and GPUs."""
_ROOTS_OWN = ("USER", "LOGNAME", "MAIL", "TMPDIR", "PWD", "OLDPWD")
"""Variables about the calling user, like all that begin with XDG_ and SUDO_."""
_PLAIN = ("PATH", "LANG", "LC_ALL", "TZ", "GOMAXPROCS", "GOMEMLIMIT", "GOGC")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def is_root() -> bool:
    """Tell if we are root, and so must run all processes as other users."""
    return os.geteuid() == 0


def service_user(owner: Owner) -> SystemUser | None:
    """Return a service's user, with the groups of its devices; None if we are an ordinary user ourselves.

    Raises:
        LocalError: the user id belongs to an account.
    """
    return _numbered(owner.value, _device_groups(owner)) if is_root() else None


def nats_user() -> SystemUser | None:
    """Return the user of nats-server; None if we are an ordinary user ourselves.

    Raises:
        LocalError: the user id belongs to an account.
    """
    return _numbered(NATS, ()) if is_root() else None


def postgres_user() -> SystemUser | None:
    """Return the user of Postgres: the account `metrica`, else `nobody`. None if we are an ordinary user ourselves.

    Raises:
        LocalError: there is no such account, or our own user id has no account, which Postgres requires.
    """
    if not is_root():
        if account(os.geteuid()) is None:
            raise LocalError(
                f"user {os.geteuid()} has no entry in /etc/passwd, and Postgres does not start without: "
                f"add one (useradd --uid {os.geteuid()} metrica), or run as another user"
            )
        return None
    for name in POSTGRES_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return SystemUser(entry.pw_uid, entry.pw_gid)
    raise LocalError("there is no account for Postgres, which does not run as root: useradd --system metrica")


def own_folder(folder: Path, user: SystemUser | None) -> Path:
    """Make a folder of mode 0700 that belongs to a user, with all its contents.

    Its parent must not be writable for other users. Symbolic links are not followed, and files with several hard links
    keep their owner.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is None:
        return folder
    status = folder.lstat()
    if (status.st_uid, status.st_gid) != (user.uid, user.gid):
        give_all(folder, user.uid, user.gid)
    folder.chmod(0o700)
    return folder


def lend(path: Path, user: SystemUser | None) -> None:
    """Let one user read a file of ours."""
    if user is not None:
        os.chown(path, -1, user.gid, follow_symlinks=False)
        path.chmod(0o640)


def give_all(folder: Path, uid: int, gid: int) -> None:
    """Make a user the owner of a folder and its contents; the folder last, so that an interruption is detected."""
    for _, folders, files, place in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            status = os.stat(name, dir_fd=place, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
                os.chown(name, uid, gid, dir_fd=place, follow_symlinks=False)
    os.chown(folder, uid, gid, follow_symlinks=False)


def take(folder: Path) -> None:
    """Give a folder, without its contents, back to root: an earlier release gave it to Postgres's user."""
    if is_root() and folder.stat().st_uid != 0:
        os.chown(folder, 0, 0)


@cache
def program_folders() -> tuple[Path, ...]:
    """List all folders that a Python program of the project reads: the interpreter, its packages and our sources."""
    sources = [ROOT / name for name in _SOURCES]
    paths = [Path(path) for path in sys.path if path and Path(path).absolute() != ROOT]
    folders = [Path(sys.base_prefix), Path(sys.prefix), Path(sys.executable), *sources, *paths]
    return tuple(dict.fromkeys(path.absolute() for path in folders if path.exists()))


def named_files(environment: dict[str, str]) -> list[Path]:
    """List the files and folders that settings refer to, such as METRICA_MODELS or a certificate."""
    names = [name for name in environment if name.startswith("METRICA_") and name != "METRICA_HOME"]
    values = [environment[name] for name in (*names, *_CERTIFICATES) if name in environment]
    parts = [Path(part) for value in values for part in value.split(os.pathsep) if part.startswith("/")]
    return [part for part in parts if _is_there(part)]


def without_roots_own(environment: dict[str, str], home: Path | None) -> dict[str, str]:
    """Return an environment for another user: without variables about root, and with `home` as HOME."""
    if not is_root():
        return environment
    remaining = {
        name: value
        for name, value in environment.items()
        if name not in _ROOTS_OWN and not name.startswith(("XDG_", "SUDO_"))
    }
    return remaining | {"HOME": str(home or NO_HOME)}


def plain_environment() -> dict[str, str]:
    """Return the part of our environment that a third-party server needs."""
    return {name: os.environ[name] for name in _PLAIN if name in os.environ} | {"HOME": NO_HOME}


def check_programs() -> None:
    """Check that other users may read the programs, and compile the sources, which those users could not write.

    Raises:
        LocalError: a file is closed to other users; with the remedy.
    """
    if not is_root():
        return
    packages = {folder for path in sys.path if path.startswith(sys.prefix) and (folder := Path(path)).is_dir()}
    python = [Path(sys.prefix), Path(sys.base_prefix) / "lib", Path(os.path.realpath(sys.executable))]
    sources = [ROOT / name for name in _SOURCES[:-1]]
    closed = [top for top in dict.fromkeys((*python, *packages)) if any(map(_is_closed, (top, *_within(top))))]
    closed += [top for top in sources if any(map(_is_closed, _all_within(top)))]
    if closed:
        raise LocalError(
            f"files in {closed[0]} are closed to everybody but root, and no service runs as root: "
            f"chmod -R go+rX {' '.join(map(str, closed))}"
        )
    if not sys.dont_write_bytecode:
        for top in sources:
            compileall.compile_dir(top, quiet=2)


def account(uid: int) -> pwd.struct_passwd | None:
    """Find the account of a user id; None if it has none."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _numbered(name: str, groups: tuple[int, ...]) -> SystemUser:
    text = os.environ.get(FIRST_UID_SETTING) or str(FIRST_UID)
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise LocalError(f"{FIRST_UID_SETTING}={text} is no user id: give a number, as {FIRST_UID}")
    uid = int(text) + _ORDER.index(name)
    if taken := account(uid):
        raise LocalError(
            f"{name} would run with the user id {uid}, which is the account {taken.pw_name}'s: "
            f"name the first of {len(_ORDER)} free ones by {FIRST_UID_SETTING}="
        )
    return SystemUser(uid, uid, groups)


def _device_groups(owner: Owner) -> tuple[int, ...]:
    """Return the groups that may use this machine's cameras or GPUs, without root's."""
    pattern = _DEVICES.get(owner)
    devices = [path for path in Path("/dev").glob(pattern) if device_usable(path)] if pattern else []
    return tuple(sorted({path.stat().st_gid for path in devices} - {0}))


def device_usable(device: Path) -> bool:
    """Tell if other users than root may read a device: all users, or a group other than root's."""
    status = device.stat()
    return bool(status.st_mode & stat.S_IROTH) or bool(status.st_mode & stat.S_IRGRP and status.st_gid)


def _within(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _all_within(folder: Path) -> Iterable[Path]:
    """Yield a folder and its contents, except for compiled Python: unreadable files of that are compiled again."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(place), *(Path(place, file) for file in files))


def _is_closed(path: Path) -> bool:
    try:
        return not path.is_symlink() and closed_to_others(path)
    except FileNotFoundError:  # deleted meanwhile
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
