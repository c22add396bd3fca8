"""Runs other than the live one: stored data of a period, processed again by the same services under a run's name.

Whoever wants a run makes its entry in the bucket `runs`, in the phase `requested`. The replay service carries it out:
it makes the run's streams (`contracts.streams.run_streams`) and feeds them. The other services watch the entries, and
work on each run while its state is `running`. A run's camera specs are stored beside its entry, with the run's changes
applied, so that it is independent of the live configuration:

    runs   night.run            = the entry
           night.progress       = its progress, for those who wait, and for the next replica of the replay service
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

RUN_PROGRESS = "*.progress"
"""Filter for the KV keys of all runs' progress."""

STORED_AT = "Metrica-Stored-At"
"""Header of replayed detections: the original's time of storage, ns UTC, by which the tracker orders them."""
LAST = "Metrica-Last"
"""Header of a camera's last detections in a replay: none follow, even if some before them are missing."""
FED = "Metrica-Fed"
"""Header of replayed detections: their number among those of their camera in the run, from 1, by which a feeder that
takes over goes on. The last ones of a camera repeat the number before them."""


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
    """Not running, and not finished: by a run's phase, it is yet to begin, ended early, failed, or being dropped."""


class RunPhase(StrEnum):
    """The phase of a run. Services work on it while its `state` is running; the phase tells users, and replay, more."""

    REQUESTED = "requested"
    RUNNING = "running"
    STOPPING = "stopping"
    """It is to end early: what was fed is counted to the end."""
    FINISHED = "finished"
    STOPPED = "stopped"
    """Ended early; its counts up to then remain."""
    FAILED = "failed"
    """Not carried out, for the `reason` in its entry."""
    DROPPING = "dropping"
    """It is to be removed with all its data; then its entry is deleted."""


_STATES = {
    RunPhase.RUNNING: RunState.RUNNING,
    RunPhase.STOPPING: RunState.RUNNING,
    RunPhase.FINISHED: RunState.FINISHED,
}


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


class RunRequest(_RunModel):
    """The part of a run's entry that only the replay service needs, to carry it out.

    Attributes:
        by: who asked for it.
        begin: captured_at of the first frame to feed, ns UTC: before the run's `since`, for the tracker to find the
            people who are in view then.
        since: begin of the period that was asked for; None for the begin of the stored data.
        until: end of that period, exclusive; None for the end of the stored data.
        in_store: True to leave out data of a camera from when it was in another store, or another one had its id.
    """

    by: str = ""
    begin: Nanoseconds = 0
    since: Nanoseconds | None = None
    until: Nanoseconds | None = None
    in_store: bool = False


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
        request: what the replay service needs; None where a command feeds the run itself.
        phase: None in entries of earlier versions, whose `state` says all; see `stands`.
        reason: why it failed; empty otherwise.
        closed_at: when the streams of the ended run were removed, ns UTC; None before, and where a command does it.
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
    request: RunRequest | None = None
    phase: RunPhase | None = None
    reason: str = ""
    closed_at: Nanoseconds | None = None

    @property
    def stands(self) -> RunPhase:
        """The phase, also of an entry of an earlier version."""
        return self.phase or RunPhase(self.state.value)

    def in_phase(self, phase: RunPhase, *, reason: str = "") -> Self:
        """Return the run in another phase, with the state that belongs to it."""
        changes = {"phase": phase, "state": _STATES.get(phase, RunState.STOPPED), "reason": reason}
        return self.model_copy(update=changes)

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
                return streams.detections, streams.paths, streams.crossings, streams.progress
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


class FedCamera(_RunModel):
    """The part of a camera's data that a run is fed with by now.

    Attributes:
        camera: its id.
        number: of frames, or detections, that are stored in the run's stream for sure.
        session: of the last of them.
        seq: of the last of them.
        sessions: all sessions, known once the camera is fed to its end.
        covered: the frames that count, known then, too.
        ended: True once it is fed to its end.
    """

    camera: Token
    number: Annotated[int, Field(ge=0)] = 0
    session: str = ""
    seq: Seq = 0
    sessions: tuple[Token, ...] = ()
    covered: tuple[Stretch, ...] = ()
    ended: bool = False


class RunProgress(_RunModel):
    """Progress of a run: an entry of its own, so that it wakes only those who wait for it.

    Attributes:
        done: the part that has been tracked, 0 … 1.
        notes: what whoever waits should know, such as a model that is missing.
        cameras: how far each camera is fed.
        paths: number of paths that were counted, in a run of paths.
        unread: number of paths that could not be read.
    """

    done: Annotated[float, Field(ge=0, le=1)] = 0.0
    notes: tuple[str, ...] = ()
    cameras: tuple[FedCamera, ...] = ()
    paths: Annotated[int, Field(ge=0)] = 0
    unread: Annotated[int, Field(ge=0)] = 0


def run_key(name: str) -> str:
    """Return the KV key of a run's entry."""
    return f"{name}.run"


def run_progress_key(name: str) -> str:
    """Return the KV key of a run's progress."""
    return f"{name}.progress"


def run_spec_key(name: str, camera: str, revision: int) -> str:
    """Return the KV key of one revision of a camera's spec in a run."""
    return f"{name}.spec.{camera}.{revision}"
