"""Planning of a run, from a request and the stored data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial

from contracts.identity import to_datetime
from contracts.runs import Run, RunCamera, RunKind
from contracts.spec import CameraSpec, CountingLine
from services.cli.console.errors import CommandError
from services.cli.console.options import LineWords
from services.cli.replaying.history import HistorySource, StoredExtent


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The options of a run.

    Attributes:
        name: of the run.
        kind: of stored data to start from.
        cameras: ids; empty for all cameras.
        since: begin of the period, ns UTC; None for the begin of the stored data.
        until: end of the period, ns UTC, exclusive; None for the end of the stored data.
        speed: multiple of the original speed; None for the highest possible.
        words: options about lines.
        model: that replaces the cameras' models.
    """

    name: str
    kind: RunKind
    cameras: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    speed: float | None = None
    words: LineWords = field(default_factory=partial(LineWords, ()))
    model: str | None = None


async def plan(past: HistorySource, request: RunRequest, now: int) -> Run:
    """Make the run for a request.

    Raises:
        CommandError: there is no data of a camera in that period, or the lines are unclear.
        pydantic.ValidationError: a name or a line is invalid, or a line is outside of the detection area.
    """
    names = request.cameras or tuple(await past.cameras(request.kind))
    extents = {name: await _extent(past, request.kind, name) for name in names}
    if not extents:
        raise CommandError(f"no {request.kind} of any camera are there")
    since = _first(request.since, past.since, min(extent.first for extent in extents.values()))
    until = _first(request.until, past.until, 1 + max(extent.last for extent in extents.values()))
    if until <= since:
        raise CommandError(f"--until {moment(until)} comes before --since {moment(since)}")
    outside = [name for name, extent in extents.items() if extent.last < since or extent.first >= until]
    for name in outside:
        if request.cameras or len(outside) == len(extents):
            raise CommandError(
                f"no {request.kind} of camera {name} from {moment(since)} to {moment(until)}: stored are those "
                f"from {moment(extents[name].first)} to {moment(extents[name].last)}"
            )
        del extents[name]
    run = Run(
        name=request.name,
        kind=request.kind,
        cameras=tuple(RunCamera(camera=name, store=extent.store) for name, extent in extents.items()),
        since=since,
        until=until,
        created_at=now,
        speed=request.speed,
        lines=await _lines(past, request, tuple(extents)),
        model=request.model,
    )
    for name in extents:
        if (spec := await past.spec(name)) is not None:
            spec_in_run(run, spec)
    return run


def spec_in_run(run: Run, spec: CameraSpec) -> CameraSpec:
    """Apply a run's changes to a camera's spec.

    Raises:
        pydantic.ValidationError: the run's lines are outside of the detection area.
    """
    changes: dict[str, object] = {} if run.lines is None else {"lines": run.lines}
    if run.model is not None:
        changes["model"] = run.model
    return CameraSpec.model_validate({**spec.model_dump(), **changes}) if changes else spec


def moment(ns: int) -> str:
    """Format a time in UTC."""
    return to_datetime(ns).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _first(requested: int | None, source: int | None, stored: int) -> int:
    """Choose a limit: the requested one, else the source's own, else that of the stored data."""
    return next(limit for limit in (requested, source, stored) if limit is not None)


async def _extent(past: HistorySource, kind: RunKind, camera: str) -> StoredExtent:
    extent = await past.extent(kind, camera)
    if extent is not None:
        return extent
    known = ", ".join(await past.cameras(kind)) or "none"
    hint = "" if kind is RunKind.DETECTIONS else f"; `metrica camera set {camera} --record` keeps them from now on"
    raise CommandError(f"no {kind} of camera {camera!r} are there, only of: {known}{hint}")


async def _lines(past: HistorySource, request: RunRequest, cameras: Sequence[str]) -> tuple[CountingLine, ...] | None:
    """Return the lines that replace the camera's own; None to keep these."""
    words = request.words
    if not words.lines and not words.without_lines:
        return None
    if len(cameras) > 1:
        raise CommandError("--line, --in and --anchor are for one camera: name it by --camera")
    spec = await past.spec(cameras[0])
    drawn = {line.id: line for line in spec.lines} if spec else {}
    if words.without_lines and not drawn:
        raise CommandError(f"camera {cameras[0]!r} has no line yet: draw one, as in --line 0.5,0,0.5,1 --in left")
    changed = words.read() if words.lines else words.over([line.model_dump() for line in drawn.values()])
    lines = (CountingLine.model_validate(fields) for fields in changed)
    # A line that differs from the live one is another revision of it, so that its crossings have other ids.
    return tuple(revised(line, drawn.get(line.id), spec.revision + 1 if spec else 1) for line in lines)


def revised(line: CountingLine, drawn: CountingLine | None, revision: int) -> CountingLine:
    """Return a line with its revision in a run: that of the drawn line if it counts the same, else `revision`."""
    same = drawn is not None and drawn.model_copy(update=_NAMES) == line.model_copy(
        update={**_NAMES, "revision": drawn.revision}
    )
    return line.model_copy(update={"revision": drawn.revision if same and drawn is not None else revision})


_NAMES = {"name": "", "in_name": "", "out_name": ""}
