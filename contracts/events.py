"""Events of the services. Versioned and frozen; unknown fields are ignored, so that old consumers read new events.

All times are nanoseconds UTC and derive from the frame's `captured_at`, never from the clock of the service that
handles it. All boxes are `x1, y1, x2, y2` in pixels of the published frame (y down), of `width` × `height`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from contracts.frames import EndReason, FrameHeader
from contracts.identity import (
    Direction,
    Nanoseconds,
    Pixels,
    Policy,
    Revision,
    Seq,
    Token,
    coverage_id,
    crossing_id,
    frame_id,
    path_id,
    session_end_id,
)

Box = tuple[float, float, float, float]


class Event(BaseModel):
    """Base of all events."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    run: Token

    def encode(self) -> bytes:
        """Encode as JSON bytes."""
        return self.model_dump_json(exclude_none=True).encode()


class Model(BaseModel):
    """The weights that made a detection. Two counts are comparable only with the same model."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    name: str
    sha256: str = ""
    precision: str = ""


class Detections(Event):
    """The detections of one frame, with the frame's own fields.

    `skipped` is the reason for which the detector could not process a frame. The event is published nevertheless, so
    that the tracker does not wait for the frame.
    """

    store: Token
    camera: Token
    session: Token
    seq: Seq
    previous: Seq | None = None
    captured_at: Nanoseconds
    width: Pixels
    height: Pixels
    spec_revision: Revision
    policy: Policy
    end: EndReason | None = None
    traceparent: str = ""
    model: Model | None = None
    boxes: tuple[Box, ...] = ()
    scores: tuple[float, ...] = ()
    skipped: str | None = None

    @model_validator(mode="after")
    def _one_score_per_box(self) -> Self:
        if len(self.boxes) != len(self.scores):
            raise ValueError(f"{len(self.boxes)} boxes but {len(self.scores)} scores")
        return self

    @property
    def id(self) -> str:
        """Id of the frame, without the run."""
        return frame_id(self.camera, self.session, self.seq)

    @classmethod
    def of(
        cls,
        frame: FrameHeader,
        *,
        model: Model | None = None,
        boxes: tuple[Box, ...] = (),
        scores: tuple[float, ...] = (),
        skipped: str | None = None,
    ) -> Detections:
        """Make the event of a frame. Boxes are rounded to 1/100 pixel, scores to 1/10000, for all readers alike."""
        return cls(
            **frame.model_dump(exclude={"version"}),
            model=model,
            boxes=tuple((round(a, 2), round(b, 2), round(c, 2), round(d, 2)) for a, b, c, d in boxes),
            scores=tuple(round(score, 4) for score in scores),
            skipped=skipped,
        )


class PathPoint(BaseModel):
    """A track's box at `t` milliseconds after the path's `at`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    t: int
    box: Box


class Path(Event):
    """A part of a track's path, simplified: boxes between two points lie near the straight line between them.

    Published every 10 s and at the track's end (`final`). A recount over a moved line needs nothing else.

    A track that is not `confirmed` may be no person yet: a shadow, or a second box on one person. Displays of people
    leave it out; a recount needs it. `gaps` are the times without a detection of the track, as pairs (last detection
    before, first one after) in milliseconds after `at`.
    """

    id: UUID
    store: Token
    camera: Token
    session: Token
    track: int
    part: int
    final: bool
    confirmed: bool = True
    at: Nanoseconds
    width: int
    height: int
    spec_revision: int
    points: tuple[PathPoint, ...]
    gaps: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def identify(camera: str, session: str, track: int, part: int) -> UUID:
        """Return the id of a path's part."""
        return path_id(camera, session, track, part)


class Crossing(Event):
    """A person crossed a counting line.

    `seq` is the frame that decided the crossing. `at` is the time at which the path met the line: earlier than that
    frame if the person lingered there. `place` is the position along the line: 0 at its first point, 1 at its second.
    """

    kind: Literal["crossing"] = "crossing"
    id: UUID
    store: Token
    camera: Token
    line: Token
    line_revision: int
    direction: Direction
    session: Token
    seq: Seq
    at: Nanoseconds
    place: float
    spec_revision: int
    model: Model | None = None

    @staticmethod
    def identify(
        camera: str, line: str, line_revision: int, session: str, seq: int, direction: Direction, n: int
    ) -> UUID:
        """Return the id of a crossing."""
        return crossing_id(camera, line, line_revision, session, seq, direction, n)


class SessionEnd(Event):
    """The end of a session, sent in band on the crossings' subject after the session's `count` crossings."""

    kind: Literal["end"] = "end"
    id: UUID
    store: Token
    camera: Token
    session: Token
    at: Nanoseconds
    reason: EndReason
    frames: int
    skipped: int
    missed: int = 0
    """Frames that a `latest` source published and no detector processed."""
    count: int

    @staticmethod
    def identify(camera: str, session: str) -> UUID:
        """Return the id of a session's end."""
        return session_end_id(camera, session)


CrossingEvent = Annotated[Crossing | SessionEnd, Field(discriminator="kind")]
CROSSING_EVENT: TypeAdapter[Crossing | SessionEnd] = TypeAdapter(CrossingEvent)


class Coverage(Event):
    """An interval in which a camera's lines were counted: its frames were analysed, without a gap of some seconds.

    Sent again about every minute while the interval grows, with the same `id` and `start` and a later `until`, and at
    its end. Time that is in no interval was not counted: a gap, not a zero.
    """

    id: UUID
    store: Token
    camera: Token
    session: Token
    lines: tuple[Token, ...]
    start: Nanoseconds
    until: Nanoseconds

    @staticmethod
    def identify(camera: str, session: str, start: int) -> UUID:
        """Return the id of an interval."""
        return coverage_id(camera, session, start)


class LineCount(BaseModel):
    """Today's totals of one line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    camera: Token
    line: Token
    in_: Annotated[int, Field(alias="in")] = 0
    out: int = 0


class Counts(Event):
    """A store's totals after a commit. They are absolute, so that the next event makes up for a lost one.

    `revision` is the store's version in the database, and the id of the server-sent event; a lower one is stale.
    """

    store: Token
    revision: int
    day: str
    """The store's local date, YYYY-MM-DD."""
    in_: Annotated[int, Field(alias="in")]
    out: int
    inside: int
    """People inside: INs minus OUTs since the store's reset, never below 0."""
    lines: tuple[LineCount, ...] = ()
    last_at: Nanoseconds | None = None

    def encode(self) -> bytes:
        """Encode as JSON bytes, with the fields' aliases (`in`)."""
        return self.model_dump_json(exclude_none=True, by_alias=True).encode()


class State(StrEnum):
    """State of a camera; `Status.message` explains it in a sentence."""

    STARTING = "starting"
    RUNNING = "running"
    RETRYING = "retrying"
    """The source cannot be read now; ingest tries again."""
    REFUSED = "refused"
    """The source or the configuration cannot work until it is changed."""
    NO_MODEL = "no_model"
    FINISHED = "finished"
    ALREADY_COUNTED = "already_counted"
    STOPPED = "stopped"


class Status(Event):
    """A camera's health as one service sees it."""

    store: Token
    camera: Token
    service: Token
    state: State
    message: str = ""
    """The problem and its remedy, for the reader of a dashboard. Never contains a password."""
    code: str | None = None
    """Name of the kind of message, for programs and translations; None without a message, and of earlier releases."""
    params: dict[str, str] | None = None
    """The values in the message, by name."""
    at: Nanoseconds
    session: Token | None = None
    model: Model | None = None
    fps: float | None = None
    frames: int = 0
    dropped: int = 0


class TrackBox(BaseModel):
    """A tracked person's box in one frame."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    track: int
    box: Box
    score: float


class Tracks(Event):
    """The tracked people of one frame, for overlays."""

    store: Token
    camera: Token
    session: Token
    seq: Seq
    captured_at: Nanoseconds
    width: int
    height: int
    tracks: tuple[TrackBox, ...]


class TrackingProgress(Event):
    """The tracker's progress in a camera of a run, sent after each checkpoint: it makes up for an earlier, lost one.

    Attributes:
        store: of the camera.
        camera: its id.
        session: the session that is being tracked; None between sessions.
        seq: of the last tracked frame of that session; None before the first.
        captured_at: of the last tracked frame, ns UTC; None before the first of a session.
        ended: the last sessions that were tracked to their ends.
    """

    store: Token
    camera: Token
    session: Token | None = None
    seq: Seq | None = None
    captured_at: Nanoseconds | None = None
    ended: tuple[Token, ...] = ()


class DeadLetter(Event):
    """The reason why a message could not be handled. Sent as headers; the body is the message's own bytes."""

    service: Token
    subject: str
    reason: str
    at: Nanoseconds
    stream: str = ""
    stream_seq: int = 0
