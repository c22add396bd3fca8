"""The part of requirements.lock for some extras of the project, with hashes: `python pins.py ingest,api`.

Versions, hashes and dependencies are those of the lock, which lists the dependents of each requirement ("# via"). So an
image is installed by `pip install --no-deps --require-hashes`, without resolving anything.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

Pins = dict[str, tuple[list[str], set[str]]]
"""By package: its requirements (one per Python version, if these differ) and its dependents."""


def read(lock: str) -> Pins:
    """Parse a lock into requirements."""
    pins: Pins = {}
    for requirement in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        name = requirement.partition("==")[0]
        lines, dependents = pins.setdefault(name, ([], set()))
        lines.append("".join(line for line in requirement.splitlines(keepends=True) if "    #" not in line))
        dependents.update(re.findall(r"^    #(?: via)? +([a-z0-9][a-z0-9._-]*)", requirement, re.MULTILINE))
    return pins


def direct(project: dict[str, object], extras: Iterable[str]) -> set[str]:
    """Return the direct dependencies of the project and the extras.

    Raises:
        SystemExit: there is no such extra.
    """
    own, optional = str(project["name"]), project["optional-dependencies"]
    packages, todo, done = _names(project["dependencies"]), list(extras), set()
    while todo:
        extra = todo.pop()
        if not isinstance(optional, dict) or extra not in optional:
            raise SystemExit(f"pins: pyproject.toml has no extra {extra!r}")
        done.add(extra)
        for requirement in optional[extra]:
            if inner := re.fullmatch(rf"{own}\[(.+)\]", requirement):
                todo.extend(set(inner[1].split(",")) - done)
            else:
                packages |= _names([requirement])
    return packages


def needed(pins: Pins, names: set[str]) -> list[str]:
    """Return the requirements of packages and of all their dependencies.

    Raises:
        SystemExit: one is not in the lock.
    """
    if missing := names - pins.keys():
        raise SystemExit(f"pins: requirements.lock lacks {', '.join(sorted(missing))}: run ./taskw lock")
    packages = set(names)
    while more := {name for name, (_, dependents) in pins.items() if dependents & packages} - packages:
        packages |= more
    return [line for name, (lines, _) in pins.items() if name in packages for line in lines]


def _names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements}


if __name__ == "__main__":
    about = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = Path("requirements.lock").read_text(encoding="utf-8")
    sys.stdout.writelines(needed(read(lock), direct(about, sys.argv[1].split(","))))
