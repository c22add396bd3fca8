"""Clips with hand-made truth: what a folder's `truth.json` says of them.

    {"a.mp4": {"fps": 10, "line": [x1, y1, x2, y2], "in_side": "+", "ref": "foot", "crossing_frames": [[187, "out"]]}}

`+` is the right of someone who walks from the line's first point to its second, `-` the left; only the first character
counts. Keys that begin with an underscore are no clips.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side
from services.cli.console.errors import Refused
from services.cli.evaluation.matching import Instant

_SIDES = {"+": Side.RIGHT, "-": Side.LEFT}


class Clip(BaseModel):
    """One clip: where people are counted in it, and the frame (from 0) and direction of each crossing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fps: float = Field(gt=0)
    line: tuple[float, float, float, float]
    in_side: str = Field(pattern="^[+-]")
    ref: str = ""
    crossing_frames: tuple[tuple[int, Direction], ...]

    @property
    def counting_line(self) -> CountingLine:
        """The clip's line; where `ref` names no anchor, the default one."""
        x1, y1, x2, y2 = self.line
        anchor = Anchor(self.ref) if self.ref in set(Anchor) else CountingLine.model_fields["anchor"].default
        return CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2, in_side=_SIDES[self.in_side[0]], anchor=anchor)

    @property
    def truth(self) -> list[Instant]:
        """The true crossings."""
        return [Instant(frame, direction) for frame, direction in self.crossing_frames]

    @property
    def tolerance(self) -> int:
        """Frames that a counted crossing may lie from the true one: the instant hangs on the point one looks at."""
        return 6 if self.fps <= 10 else 12


_CLIPS: TypeAdapter[dict[str, Clip]] = TypeAdapter(dict[str, Clip])


def read_truth(folder: Path) -> dict[str, Clip]:
    """The clips of a folder, by file name.

    Raises:
        Refused: there is no truth.json, or it cannot be understood; the text says where.
    """
    path = folder / "truth.json"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; it describes the clips to evaluate") from error
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refused(f"{path}: an object of clips by file name is wanted")
    try:
        return _CLIPS.validate_python({name: clip for name, clip in found.items() if not name.startswith("_")})
    except ValidationError as error:
        problem = error.errors()[0]
        raise Refused(f"{path}: {' → '.join(map(str, problem['loc']))}: {problem['msg']}") from error
