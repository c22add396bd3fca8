"""The images that compose.yaml takes: its own choice, or what the environment says in its place."""

from __future__ import annotations

import os
import re

from tests.support.scene import ROOT


def image(variable: str) -> str:
    """The default of `${METRICA_…_IMAGE:-…}` in compose.yaml."""
    default = re.search(rf"\$\{{{variable}:-([^}}]+)\}}", (ROOT / "compose.yaml").read_text())
    assert default, f"compose.yaml asks for no {variable}"
    return os.environ.get(variable) or default[1]
