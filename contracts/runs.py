"""Runs other than the live one: stored data of a period, processed again by the same services under a run's name.

The starter of a run makes its streams (`contracts.streams.run_streams`) and then its entry in the bucket `runs`. The
services watch the entries, and work on each run while its state is `running`. A run's camera specs are stored beside
its entry, with the run's changes applied, so that it is independent of the live configuration:

    runs   night.run            = the entry
           night.spec.door.7    = the spec of camera `door` at revision 7, with the run's own lines or model over it
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from contracts.identity import LIVE, Nanoseconds, Seq, Token, partition
from contracts.spec import CountingLine
from contracts.streams import Stream, run_streams

RESERVED = (LIVE, "dlq")
"""Second tokens of subjects that are no names of runs."""

RUN_ENTRIES = "*.run"
"""Filter for the KV keys of all runs' entries."""

STORED_AT = "Metrica-Stored-At"
"""Header of replayed detections: the original's time of storage, ns UTC, by which the tracker orders them."""
LAST = "Metrica-Last"
"""Header of a camera's last detections in a replay: none follow, even if some before them are missing."""


def _is_not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"a run can't be called {name!r}: choose another name")
    return name


RunName = Annotated[Token, AfterValidator(_is_not_reserved)]


class RunKind(StrEnum):
    """The stored data that a run starts from."""

    FRAMES = "frames"
    """Frames: detection, tracking and counting are repeated."""
    DETECTIONS = "detections"
    """Detections: tracking and counting are repeated."""
    PATHS = "paths"
    """Paths: only counting is repeated, with other lines."""


class RunState(StrEnum):
    """State of a run."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Ended early by its starter; its counts up to then remain."""


class _RunModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunCamera(_RunModel):
    """A camera in a run."""

    camera: Token
    store: Token


class Stretch(_RunModel):
    """Frames `first` to `last` of a camera's session, as counted by a run."""

    camera: Token
    session: Token
    first: Seq
    last: Seq


class Run(_RunModel):
    """A run: its entry in the bucket `runs`.

    Attributes:
        since: captured_at of the first frame to decide crossings that count. Earlier frames are processed as well, so
            that the tracker knows the people who are already in view.
        until: end of that period, exclusive.
        speed: multiple of the original speed; None for the highest possible.
        lines: counting lines that replace those of its cameras; None keeps these.
        model: model that replaces those of its cameras; None keeps these.
        models: models that its frames need: detectors make a pool for each.
        covered: the frames that were counted, known after its end.
    """

    version: int = 1
    name: RunName
    kind: RunKind
    cameras: tuple[RunCamera, ...]
    since: Nanoseconds
    until: Nanoseconds
    created_at: Nanoseconds
    speed: Annotated[float, Field(gt=0)] | None = None
    lines: tuple[CountingLine, ...] | None = None
    model: str | None = None
    models: tuple[str, ...] = ()
    state: RunState = RunState.RUNNING
    covered: tuple[Stretch, ...] = ()

    @property
    def running(self) -> bool:
        """True while services work on it."""
        return self.state is RunState.RUNNING

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions of its cameras."""
        return frozenset(partition(camera.camera) for camera in self.cameras)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that it needs."""
        streams = run_streams(self.name)
        match self.kind:
            case RunKind.FRAMES:
                return streams
            case RunKind.DETECTIONS:
                return streams.detections, streams.paths, streams.crossings
            case RunKind.PATHS:
                return (streams.crossings,)

    def counts(self, captured_at: int) -> bool:
        """Tell if crossings decided by a frame of this time are counted."""
        return self.since <= captured_at < self.until

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.until <= self.since:
            raise ValueError("a run's end must come after its beginning")
        return self


def run_key(name: str) -> str:
    """Return the KV key of a run's entry."""
    return f"{name}.run"


def run_spec_key(name: str, camera: str, revision: int) -> str:
    """Return the KV key of one revision of a camera's spec in a run."""
    return f"{name}.spec.{camera}.{revision}"
