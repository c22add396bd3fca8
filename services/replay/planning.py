"""Planning of a run, from a selection and the stored data."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.runs import Run, RunCamera, RunKind
from contracts.spec import CameraSpec, CountingLine
from services.kit.local_time import moment
from services.replay.errors import RunError
from services.replay.history import HistorySource, StoredExtent


@dataclass(frozen=True, slots=True)
class Selection:
    """The stored data of a run.

    Attributes:
        kind: of stored data to start from.
        cameras: ids; empty for all cameras.
        since: begin of the period, ns UTC; None for the begin of the stored data.
        until: end of the period, ns UTC, exclusive; None for the end of the stored data.
    """

    kind: RunKind
    cameras: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class SelectedData:
    """The stored data that a selection found.

    Attributes:
        extents: of each camera.
        since: begin of the period, ns UTC.
        until: end of the period, exclusive.
    """

    extents: dict[str, StoredExtent]
    since: int
    until: int

    @property
    def cameras(self) -> tuple[RunCamera, ...]:
        """The cameras, as a run names them."""
        return tuple(RunCamera(camera=name, store=extent.store) for name, extent in self.extents.items())


async def select(past: HistorySource, selection: Selection) -> SelectedData:
    """Find the stored data of a selection.

    Raises:
        RunError: there is no data of a camera in that period.
    """
    names = selection.cameras or tuple(await past.cameras(selection.kind))
    extents = {name: await _extent(past, selection.kind, name) for name in names}
    if not extents:
        raise RunError(f"no {selection.kind} of any camera are there")
    since = _first(selection.since, past.since, min(extent.first for extent in extents.values()))
    until = _first(selection.until, past.until, 1 + max(extent.last for extent in extents.values()))
    if until <= since:
        raise RunError(f"--until {moment(until)} comes before --since {moment(since)}")
    outside = [name for name, extent in extents.items() if extent.last < since or extent.first >= until]
    for name in outside:
        if selection.cameras or len(outside) == len(extents):
            raise RunError(
                f"no {selection.kind} of camera {name} from {moment(since)} to {moment(until)}: stored are those "
                f"from {moment(extents[name].first)} to {moment(extents[name].last)}"
            )
        del extents[name]
    return SelectedData(extents, since, until)


async def check_data(past: HistorySource, run: Run) -> None:
    """Check that there is data for each camera of a run, and that its changes fit the cameras.

    Raises:
        RunError: there is none in its period.
        pydantic.ValidationError: the run's lines are outside of the detection area.
    """
    cameras = tuple(camera.camera for camera in run.cameras)
    await select(past, Selection(run.kind, cameras, run.since, run.until))
    await check_specs(past, run)


async def check_specs(past: HistorySource, run: Run) -> None:
    """Check that a run's changes fit the specs of its cameras.

    Raises:
        pydantic.ValidationError: the run's lines are outside of the detection area.
    """
    for camera in run.cameras:
        if (spec := await past.spec(camera.camera)) is not None:
            spec_in_run(run, spec)


def spec_in_run(run: Run, spec: CameraSpec) -> CameraSpec:
    """Apply a run's changes to a camera's spec.

    Raises:
        pydantic.ValidationError: the run's lines are outside of the detection area.
    """
    changes: dict[str, object] = {} if run.lines is None else {"lines": run.lines}
    if run.model is not None:
        changes["model"] = run.model
    return CameraSpec.model_validate({**spec.model_dump(), **changes}) if changes else spec


def _first(requested: int | None, source: int | None, stored: int) -> int:
    """Choose a limit: the requested one, else the source's own, else that of the stored data."""
    return next(limit for limit in (requested, source, stored) if limit is not None)


async def _extent(past: HistorySource, kind: RunKind, camera: str) -> StoredExtent:
    extent = await past.extent(kind, camera)
    if extent is not None:
        return extent
    known = ", ".join(await past.cameras(kind)) or "none"
    hint = "" if kind is RunKind.DETECTIONS else f"; `metrica camera set {camera} --record` keeps them from now on"
    raise RunError(f"no {kind} of camera {camera!r} are there, only of: {known}{hint}")


def revised(line: CountingLine, drawn: CountingLine | None, revision: int) -> CountingLine:
    """Return a line with its revision in a run: that of the drawn line if it counts the same, else `revision`."""
    same = drawn is not None and drawn.model_copy(update=_NAMES) == line.model_copy(
        update={**_NAMES, "revision": drawn.revision}
    )
    return line.model_copy(update={"revision": drawn.revision if same and drawn is not None else revision})


_NAMES = {"name": "", "in_name": "", "out_name": ""}
