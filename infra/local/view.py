"""Mount plans for processes of other users that need files in closed folders, such as root's home of mode 0700.

All files keep their absolute paths, wherever the project and its data are. A closed folder on the way is covered by an
empty one with bind mounts of the files that the process needs; `launch.py` does so, for that process only.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError

_MOST_LINKS = 40
"""Greatest number of symbolic links on the way to a file, as in Linux."""


@dataclass(frozen=True, slots=True)
class SystemUser:
    """An ordinary user of the system, for processes that are started by root."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups, such as that of this machine's cameras."""


@dataclass(frozen=True, slots=True)
class MountPlan:
    """Covered folders and bind mounts: a part of the orders to `launch.py`."""

    covers: tuple[str, ...]
    """The outermost closed folders."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links in them on the way to a file, with their targets."""
    binds: tuple[tuple[str, bool], ...]
    """Files and folders to bind-mount, outer ones first, and true for writable ones."""


def plan_mounts(user: SystemUser, reads: Iterable[Path], writes: Iterable[Path] = ()) -> MountPlan | None:
    """Plan the mounts by which a user can reach files and folders.

    Args:
        user: that must reach them.
        reads: absolute paths of files and folders to read.
        writes: absolute paths of the process's own folders.

    Returns:
        None if all folders on the way are open to the user.

    Raises:
        LocalError: the root folder is closed, or symbolic links go round in a circle.
    """
    links: dict[Path, str] = {}
    needed: dict[Path, bool] = {_follow(path, links): False for path in reads}
    needed |= {_follow(path, links): True for path in writes}
    ways = {folder for path in (*needed, *links) for folder in path.parents}
    closed = {folder for folder in ways if not _may_enter(user, folder)}
    covers = sorted(folder for folder in closed if not closed.intersection(folder.parents))
    if Path("/") in covers:
        raise LocalError("the root folder is closed to everybody but root: chmod o+x /")
    covered = {path: writable for path, writable in needed.items() if _inside(path, covers)}
    binds = [
        (path, writable)
        for path, writable in sorted(covered.items(), key=lambda item: len(item[0].parts))
        if writable or not _inside(path, covered)
    ]
    own = [(path, target) for path, target in links.items() if _inside(path, covers) and not _inside(path, covered)]
    if not covers:
        return None
    return MountPlan(
        covers=tuple(map(str, covers)),
        links=tuple((str(path), target) for path, target in own),
        binds=tuple((str(path), writable) for path, writable in binds),
    )


def reachable(user: SystemUser, folder: Path) -> bool:
    """Tell if a user may enter a folder without mounts."""
    real = folder.resolve()
    return all(_may_enter(user, place) for place in (real, *real.parents))


def closed_to_others(path: Path) -> bool:
    """Tell if users other than the owner and the group can't read a file, or can't list and enter a folder."""
    mode = path.stat().st_mode
    needed = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & needed != needed


def _may_enter(user: SystemUser, folder: Path) -> bool:
    status = folder.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid in (user.gid, *user.groups):
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _inside(path: Path, folders: Iterable[Path]) -> bool:
    return not set(folders).isdisjoint(path.parents)


def _follow(path: Path, links: dict[Path, str]) -> Path:
    """Resolve a path, and add the symbolic links on the way to `links`."""
    done, ahead, followed = Path("/"), list(reversed(path.parts[1:])), 0
    while ahead:
        part = ahead.pop()
        place = done.parent if part == ".." else done / part
        if not place.is_symlink():
            done = place
            continue
        followed += 1
        if followed > _MOST_LINKS:
            raise LocalError(f"{path} can't be reached: its symbolic links go round in a circle")
        target = Path(links.setdefault(place, str(place.readlink())))
        done = Path("/") if target.is_absolute() else done
        ahead += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return done
