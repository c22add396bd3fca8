"""Clips with hand-made truth, described by a folder's `truth.json`.

    {"a.mp4": {"fps": 10, "line": [x1, y1, x2, y2], "in_side": "+", "ref": "foot", "crossing_frames": [[187, "out"]]}}

`+` is the right of a person walking from the line's first point to its second, `-` the left; only the first character
counts. Keys that begin with an underscore are not clips.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side
from services.cli.console.errors import CommandError
from services.cli.evaluation.matching import Instant

_SIDES = {"+": Side.RIGHT, "-": Side.LEFT}


class Clip(BaseModel):
    """A clip: its counting line, and the frame (from 0) and direction of each true crossing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fps: float = Field(gt=0)
    line: tuple[float, float, float, float]
    in_side: str = Field(pattern="^[+-]")
    ref: str = ""
    crossing_frames: tuple[tuple[int, Direction], ...]

    @property
    def counting_line(self) -> CountingLine:
        """The clip's line; with the default anchor if `ref` names none."""
        x1, y1, x2, y2 = self.line
        anchor = Anchor(self.ref) if self.ref in set(Anchor) else CountingLine.model_fields["anchor"].default
        return CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2, in_side=_SIDES[self.in_side[0]], anchor=anchor)

    @property
    def truth(self) -> list[Instant]:
        """The true crossings."""
        return [Instant(frame, direction) for frame, direction in self.crossing_frames]

    @property
    def tolerance(self) -> int:
        """Greatest distance in frames of a counted crossing from the true one, whose time depends on the anchor."""
        return 6 if self.fps <= 10 else 12


_CLIPS: TypeAdapter[dict[str, Clip]] = TypeAdapter(dict[str, Clip])


def read_truth(folder: Path) -> dict[str, Clip]:
    """Read the clips of a folder, by file name.

    Raises:
        CommandError: truth.json is missing, or cannot be parsed; the text gives the place.
    """
    path = folder / "truth.json"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}; it describes the clips to evaluate") from error
    except ValueError as error:
        raise CommandError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise CommandError(f"{path}: expected an object of clips by file name")
    try:
        return _CLIPS.validate_python({name: clip for name, clip in content.items() if not name.startswith("_")})
    except ValidationError as error:
        problem = error.errors()[0]
        raise CommandError(f"{path}: {' → '.join(map(str, problem['loc']))}: {problem['msg']}") from error
