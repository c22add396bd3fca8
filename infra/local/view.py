"""What a process of another user sees of folders that are closed to it, such as root's home of mode 0700.

Everything that Metrica runs keeps its absolute path, wherever the project and its data lie. A closed folder on the way
is covered by an empty one, and only what the process needs shows through; `launch.py` does so, for that process alone.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError

_MOST_LINKS = 40
"""Symbolic links on the way to one file; as many as Linux follows."""


@dataclass(frozen=True, slots=True)
class User:
    """An ordinary user, for what is started by root."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Further groups, such as that of the cameras of this machine."""


@dataclass(frozen=True, slots=True)
class View:
    """Covered folders and what shows through: a part of the orders to `launch.py`."""

    covers: tuple[str, ...]
    """The outermost closed folders."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links in them that are on the way, with what they say."""
    binds: tuple[tuple[str, bool], ...]
    """Files and folders that show through, outer ones first, and whether they may be written."""


def make_view(user: User, reads: Iterable[Path], writes: Iterable[Path] = ()) -> View | None:
    """Find out which folders must be covered so that a user can reach these files and folders.

    Args:
        user: who is to reach them.
        reads: absolute paths of what is read.
        writes: absolute paths of folders of the process's own.

    Returns:
        None where every folder on the way is open to the user.

    Raises:
        LocalError: the root folder is closed, or symbolic links go round in a circle.
    """
    links: dict[Path, str] = {}
    wanted: dict[Path, bool] = {_follow(path, links): False for path in reads}
    wanted |= {_follow(path, links): True for path in writes}
    ways = {folder for path in (*wanted, *links) for folder in path.parents}
    closed = {folder for folder in ways if not _may_enter(user, folder)}
    covers = sorted(folder for folder in closed if not closed.intersection(folder.parents))
    if Path("/") in covers:
        raise LocalError("the root folder is closed to everybody but root: chmod o+x /")
    shown = {path: writable for path, writable in wanted.items() if _inside(path, covers)}
    binds = [
        (path, writable)
        for path, writable in sorted(shown.items(), key=lambda item: len(item[0].parts))
        if writable or not _inside(path, shown)
    ]
    own = [(path, target) for path, target in links.items() if _inside(path, covers) and not _inside(path, shown)]
    if not covers:
        return None
    return View(
        covers=tuple(map(str, covers)),
        links=tuple((str(path), target) for path, target in own),
        binds=tuple((str(path), writable) for path, writable in binds),
    )


def reachable(user: User, folder: Path) -> bool:
    """Tell whether a user may enter a folder without our help."""
    real = folder.resolve()
    return all(_may_enter(user, place) for place in (real, *real.parents))


def closed_to_others(path: Path) -> bool:
    """Tell whether a file can't be read, or a folder not be listed and entered, by somebody who has no part in it."""
    mode = path.stat().st_mode
    needed = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & needed != needed


def _may_enter(user: User, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid in (user.gid, *user.groups):
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _inside(path: Path, folders: Iterable[Path]) -> bool:
    return not set(folders).isdisjoint(path.parents)


def _follow(path: Path, links: dict[Path, str]) -> Path:
    """The real path; the symbolic links on the way are noted."""
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
