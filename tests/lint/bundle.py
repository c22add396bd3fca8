"""Weighs what a browser loads of the built dashboards: `python -m tests.lint.bundle`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

DIST = Path(__file__).parents[2] / "dashboards" / "live" / "dist"
FIRST_VIEW = 60_000
"""Bytes of the modules and styles that the page names, compressed by gzip."""
WHOLE = 150_000
"""Bytes of all modules and styles, compressed by gzip."""


def weigh(folder: Path) -> tuple[int, int]:
    """Return the bytes of the first view and of the whole app."""
    html = (folder / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', html)
    first = sum(_compressed(folder / name) for name in named)
    return first, sum(_compressed(file) for file in (folder / "assets").iterdir() if file.suffix in {".js", ".css"})


def _compressed(file: Path) -> int:
    compressed = file.with_name(f"{file.name}.gz")
    return (compressed if compressed.exists() else file).stat().st_size


def main() -> int:
    """Print what is too heavy."""
    first, whole = weigh(DIST)
    if first <= FIRST_VIEW and whole <= WHOLE:
        return 0
    print(f"The live dashboard weighs {first} bytes at first ({FIRST_VIEW} at most), {whole} in all ({WHOLE} at most)")
    return 1


if __name__ == "__main__":
    sys.exit(main())
