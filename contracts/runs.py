"""Runs beside the live one: a stretch of what was, worked on once more by the same services, under a name of its own.

Whoever starts a run makes its streams (`contracts.streams.run_streams`) and then its entry in the bucket `runs`. The
services watch the entries and work on each run that is running; once its state is another, they let it go. A run's
specs lie beside its entry, as the run sees them, so that it needs nothing of the live configuration:

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
"""Second tokens of subjects that name no run."""

RUN_ENTRIES = "*.run"
"""Matches the keys of all runs' entries."""

STORED_AT = "Metrica-Stored-At"
"""Header of replayed detections: when the original was stored, ns UTC. Their order is decided by that clock."""
LAST = "Metrica-Last"
"""Header of the last detections of a camera in a replay: nothing comes after them, whatever is missing before."""


def _is_no_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"a run can't be called {name!r}: choose another name")
    return name


RunName = Annotated[Token, AfterValidator(_is_no_reserved)]


class RunKind(StrEnum):
    """What a run begins with."""

    FRAMES = "frames"
    """Pictures: they are looked at, tracked and counted anew."""
    DETECTIONS = "detections"
    """What detectors saw: it is tracked and counted anew."""
    PATHS = "paths"
    """Where people went: only the lines are laid over it."""


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Ended before its time by who started it; what it had counted by then stands."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunCamera(_Frozen):
    """A camera in a run."""

    camera: Token
    store: Token


class Stretch(_Frozen):
    """Frames `first` to `last` of a camera's session: those whose crossings a run has counted."""

    camera: Token
    session: Token
    first: Seq
    last: Seq


class Run(_Frozen):
    """A run, as its entry in the bucket says.

    Attributes:
        since, until: only what frames captured in this time decide is counted, `until` not included. What comes before
            lets the tracker find the people who are already there.
        speed: times as fast as it was; None as fast as it goes.
        lines: in place of those of its cameras; None leaves them.
        model: in place of that of its cameras; None leaves it.
        models: those that its frames ask for: whom detectors make a pool for.
        covered: what was counted, known when it has ended.
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
        """Whether services work on it."""
        return self.state is RunState.RUNNING

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that its cameras lie in."""
        return frozenset(partition(one.camera) for one in self.cameras)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Those that it needs."""
        streams = run_streams(self.name)
        match self.kind:
            case RunKind.FRAMES:
                return streams
            case RunKind.DETECTIONS:
                return streams.detections, streams.paths, streams.crossings
            case RunKind.PATHS:
                return (streams.crossings,)

    def counts(self, captured_at: int) -> bool:
        """Whether the crossings that a frame decides are counted."""
        return self.since <= captured_at < self.until

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.until <= self.since:
            raise ValueError("a run's end must come after its beginning")
        return self


def run_key(name: str) -> str:
    """KV key of a run's entry."""
    return f"{name}.run"


def run_spec_key(name: str, camera: str, revision: int) -> str:
    """KV key of one revision of a camera's spec, as a run sees it."""
    return f"{name}.spec.{camera}.{revision}"
