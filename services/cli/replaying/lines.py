"""Lines of a run, from a camera's own lines and the options that change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from contracts.runs import RunCamera
from contracts.spec import CameraSpec, CountingLine
from services.cli.console.errors import CommandError
from services.cli.console.options import LineWords
from services.replay.history import HistorySource
from services.replay.planning import revised


async def lines_of_run(
    past: HistorySource, cameras: Sequence[RunCamera], words: LineWords
) -> tuple[CountingLine, ...] | None:
    """Return the lines that replace the camera's own in a replay; None to keep these.

    Raises:
        CommandError: there are several cameras, or options about lines and no line.
        pydantic.ValidationError: a line cannot count.
    """
    if not words.lines and not words.without_lines:
        return None
    if len(cameras) > 1:
        raise CommandError("--line, --in and --anchor are for one camera: name it by --camera")
    camera = cameras[0].camera
    spec = await past.spec(camera)
    drawn = {line.id: line for line in spec.lines} if spec else {}
    if words.without_lines and not drawn:
        raise CommandError(f"camera {camera!r} has no line yet: draw one, as in --line 0.5,0,0.5,1 --in left")
    changed = words.read() if words.lines else words.over([line.model_dump() for line in drawn.values()])
    lines = (CountingLine.model_validate(fields) for fields in changed)
    # A line that differs from the live one is another revision of it, so that its crossings have other ids.
    return tuple(revised(line, drawn.get(line.id), spec.revision + 1 if spec else 1) for line in lines)


def lines_over(spec: CameraSpec, words: LineWords) -> tuple[CountingLine, ...]:
    """Apply options to a camera's lines; without options, return them as they are.

    Raises:
        CommandError: the id of a line is ambiguous, or the IN side of a new one is missing.
        pydantic.ValidationError: a line cannot count.
    """
    drawn = {line.id: line for line in spec.lines}
    if not words.lines and not drawn:
        raise CommandError(f"camera {spec.camera!r} has no line: draw one, as in --line door=0.5,0,0.5,1 --in left")
    changes = _changes(words, drawn)
    new = [str(fields["id"]) for fields in changes if fields["id"] not in drawn and "in_side" not in fields]
    if new:
        raise CommandError(f"camera {spec.camera!r} has no line {new[0]!r}: give the side of IN by --in left|right")
    before = {name: line.model_dump() for name, line in drawn.items()}
    lines = [CountingLine.model_validate({**before.get(str(fields["id"]), {}), **fields}) for fields in changes]
    spec = CameraSpec.model_validate({**spec.model_dump(), "lines": lines})
    return tuple(revised(line, drawn.get(line.id), spec.revision + 1) for line in spec.lines)


def _changes(words: LineWords, drawn: dict[str, CountingLine]) -> tuple[dict[str, object], ...]:
    if not words.lines:
        return words.over([line.model_dump() for line in drawn.values()])
    if all("=" in text for text in words.lines):
        return words.read()
    if len(words.lines) == len(drawn) == 1:
        return replace(words, ids=tuple(drawn)).read()
    known = ", ".join(drawn) or "none"
    raise CommandError(f"--line {words.lines[0]}: name the line, as in --line door=…; the camera has: {known}")
