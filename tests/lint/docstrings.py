"""No docstring begins with an interrogative: `python -m tests.lint.docstrings`.

The first line is an imperative or a noun phrase ("Filters detections by region"): a first line such as "Who of those
that were found is looked for" makes its reader parse a clause to learn who acts, and no search finds it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lint.measurements import FOLDERS, ROOT, interrogatives, modules


def problems(root: Path) -> list[str]:
    """The docstrings of a checkout that begin so, one line each."""
    return [
        f"{module.path}:{line}: begins with an interrogative: {text}"
        for module in modules(root, (*FOLDERS, "tests", "dashboards"))
        for line, text in interrogatives(module)
    ]


def main() -> int:
    """Print the problems. Returns the exit status."""
    found = problems(ROOT)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
