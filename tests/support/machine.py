"""The machine's packages that the tests need besides Python: Debian packages, named when they are missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_LIBRARIES = Path("/usr/lib")


def chromium() -> str | None:
    """The Chromium that browser tests drive."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def faketime() -> Path | None:
    """The library, of Debian's package libfaketime, that gives one process a clock of its own."""
    return next(_LIBRARIES.glob("*/faketime/libfaketimeMT.so.1"), None)


def _library(pattern: str) -> bool:
    return any(_LIBRARIES.glob(pattern))


@dataclass(frozen=True, slots=True)
class Requirement:
    """Debian packages that the tests of a folder need, each with a look whether it is there."""

    tests: str
    purpose: str
    packages: dict[str, Callable[[], bool]]

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for package, installed in self.packages.items() if not installed()]


REQUIREMENTS = (
    Requirement("tests/browser", "the browser tests", {"chromium": lambda: chromium() is not None}),
    Requirement(
        "tests/ingest",
        "the RTSP camera of the tests",
        {
            "python3-gi": lambda: _library("python3/dist-packages/gi/__init__.py"),
            "gir1.2-gst-rtsp-server-1.0": lambda: _library("*/girepository-1.0/GstRtspServer-1.0.typelib"),
            "gstreamer1.0-plugins-base": lambda: _library("*/gstreamer-1.0/libgstvideotestsrc.so"),
            "gstreamer1.0-plugins-good": lambda: _library("*/gstreamer-1.0/libgstrtp.so"),
            "gstreamer1.0-plugins-bad": lambda: _library("*/gstreamer-1.0/libgstopenh264.so"),
        },
    ),
)


def complaint(selected: Sequence[Path], root: Path) -> str | None:
    """One line that names the packages which the selected test folders and files lack; None if there are none."""
    missing: list[str] = []
    purposes: list[str] = []
    for requirement in REQUIREMENTS:
        folder = root / requirement.tests
        chosen = any(path == folder or path in folder.parents or folder in path.parents for path in selected)
        if chosen and (packages := requirement.missing()):
            missing += packages
            purposes.append(requirement.purpose)
    if not missing:
        return None
    return f"{' and '.join(purposes)} can't run on this machine: apt-get install {' '.join(missing)}"
