"""The part of requirements.lock that extras of the project need, hashes and all: `python pins.py ingest,api`.

Versions and hashes are the lock's, and so is what needs what: a requirement stands there with those that brought it
about ("# via"). An image is thereby installed by `pip install --no-deps --require-hashes`, without choosing anything.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

Pins = dict[str, tuple[list[str], set[str]]]
"""By package: its requirements (one per Python, where versions differ) and the packages on whose behalf it is there."""


def read(lock: str) -> Pins:
    """Cut a lock into requirements."""
    pins: Pins = {}
    for requirement in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        name = requirement.partition("==")[0]
        lines, behalf = pins.setdefault(name, ([], set()))
        lines.append("".join(line for line in requirement.splitlines(keepends=True) if "    #" not in line))
        behalf.update(re.findall(r"^    #(?: via)? +([a-z0-9][a-z0-9._-]*)", requirement, re.MULTILINE))
    return pins


def asked(project: dict[str, object], extras: Iterable[str]) -> set[str]:
    """Name the packages that the project and these extras ask for themselves.

    Raises:
        SystemExit: there is no such extra.
    """
    own, optional = str(project["name"]), project["optional-dependencies"]
    found, todo, done = _names(project["dependencies"]), list(extras), set()
    while todo:
        extra = todo.pop()
        if not isinstance(optional, dict) or extra not in optional:
            raise SystemExit(f"pins: pyproject.toml has no extra {extra!r}")
        done.add(extra)
        for requirement in optional[extra]:
            if inner := re.fullmatch(rf"{own}\[(.+)\]", requirement):
                todo.extend(set(inner[1].split(",")) - done)
            else:
                found |= _names([requirement])
    return found


def needed(pins: Pins, names: set[str]) -> list[str]:
    """Give the requirements of these packages and of all that they bring.

    Raises:
        SystemExit: one is not in the lock.
    """
    if missing := names - pins.keys():
        raise SystemExit(f"pins: requirements.lock lacks {', '.join(sorted(missing))}: run ./taskw lock")
    found = set(names)
    while more := {name for name, (_, behalf) in pins.items() if behalf & found} - found:
        found |= more
    return [line for name, (lines, _) in pins.items() if name in found for line in lines]


def _names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements}


if __name__ == "__main__":
    about = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = Path("requirements.lock").read_text(encoding="utf-8")
    sys.stdout.writelines(needed(read(lock), asked(about, sys.argv[1].split(","))))
