"""What is asked for and what there is: the run that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial

from contracts.identity import to_datetime
from contracts.runs import Run, RunCamera, RunKind
from contracts.spec import CameraSpec, CountingLine
from services.cli.console.errors import Refused
from services.cli.console.options import LineWords
from services.cli.replaying.history import Held, Past


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says.

    Attributes:
        name: of the run.
        kind: what it begins with.
        cameras: empty are all that there are.
        since, until: ns UTC; None is the beginning and the end of what there is.
        speed: None as fast as it goes.
        words: of lines.
        model: in place of the cameras'.
    """

    name: str
    kind: RunKind
    cameras: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    speed: float | None = None
    words: LineWords = field(default_factory=partial(LineWords, ()))
    model: str | None = None


async def plan(past: Past, asked: Asked, now: int) -> Run:
    """The run that is asked for.

    Raises:
        Refused: there is nothing of a camera in that period, or the lines cannot be drawn.
        pydantic.ValidationError: a name or a line is none, or a line lies where nobody is looked for.
    """
    names = asked.cameras or tuple(await past.cameras(asked.kind))
    held = {name: await _held(past, asked.kind, name) for name in names}
    if not held:
        raise Refused(f"no {asked.kind} of any camera are there")
    since = _first(asked.since, past.since, min(one.first for one in held.values()))
    until = _first(asked.until, past.until, 1 + max(one.last for one in held.values()))
    if until <= since:
        raise Refused(f"--until {moment(until)} comes before --since {moment(since)}")
    elsewhere = [name for name, one in held.items() if one.last < since or one.first >= until]
    for name in elsewhere:
        if asked.cameras or len(elsewhere) == len(held):
            raise Refused(
                f"no {asked.kind} of camera {name} from {moment(since)} to {moment(until)}: there are those "
                f"from {moment(held[name].first)} to {moment(held[name].last)}"
            )
        del held[name]
    run = Run(
        name=asked.name,
        kind=asked.kind,
        cameras=tuple(RunCamera(camera=name, store=one.store) for name, one in held.items()),
        since=since,
        until=until,
        created_at=now,
        speed=asked.speed,
        lines=await _lines(past, asked, tuple(held)),
        model=asked.model,
    )
    for name in held:
        if (spec := await past.spec(name)) is not None:
            seen(run, spec)
    return run


def seen(run: Run, spec: CameraSpec) -> CameraSpec:
    """A camera's spec as a run sees it.

    Raises:
        pydantic.ValidationError: the run's lines lie where nobody is looked for.
    """
    changed: dict[str, object] = {} if run.lines is None else {"lines": run.lines}
    if run.model is not None:
        changed["model"] = run.model
    return CameraSpec.model_validate({**spec.model_dump(), **changed}) if changed else spec


def moment(ns: int) -> str:
    """A time as people read it, UTC."""
    return to_datetime(ns).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _first(asked: int | None, about: int | None, all_of_it: int) -> int:
    """What is asked for, or what the source is about, or all of it."""
    return next(one for one in (asked, about, all_of_it) if one is not None)


async def _held(past: Past, kind: RunKind, camera: str) -> Held:
    held = await past.held(kind, camera)
    if held is not None:
        return held
    known = ", ".join(await past.cameras(kind)) or "none"
    hint = "" if kind is RunKind.DETECTIONS else f"; `metrica camera set {camera} --record` keeps them from now on"
    raise Refused(f"no {kind} of camera {camera!r} are there, only of: {known}{hint}")


async def _lines(past: Past, asked: Asked, cameras: Sequence[str]) -> tuple[CountingLine, ...] | None:
    """The lines that are to be laid over the camera's own; None leaves those."""
    words = asked.words
    if not words.lines and not words.without_lines:
        return None
    if len(cameras) > 1:
        raise Refused("--line, --in and --anchor are one camera's: say which, by --camera")
    spec = await past.spec(cameras[0])
    drawn = {line.id: line for line in spec.lines} if spec else {}
    if words.without_lines and not drawn:
        raise Refused(f"camera {cameras[0]!r} has no line yet: draw one, as in --line 0.5,0,0.5,1 --in left")
    said = words.read() if words.lines else words.over([line.model_dump() for line in drawn.values()])
    lines = (CountingLine.model_validate(fields) for fields in said)
    # A line that is another than the live one is another revision of it: its crossings are no repetition of those.
    return tuple(revised(line, drawn.get(line.id), spec.revision + 1 if spec else 1) for line in lines)


def revised(line: CountingLine, drawn: CountingLine | None, revision: int) -> CountingLine:
    """A line as a run counts over it: at the drawn one's revision if it counts the same, otherwise at this one."""
    same = drawn is not None and drawn.model_copy(update=_NAMES) == line.model_copy(
        update={**_NAMES, "revision": drawn.revision}
    )
    return line.model_copy(update={"revision": drawn.revision if same and drawn is not None else revision})


_NAMES = {"name": "", "in_name": "", "out_name": ""}
