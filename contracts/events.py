"""The events of the services. Versioned, frozen; unknown fields are ignored, so that old consumers read new events.

All times are nanoseconds UTC and come from the frame's `captured_at`, never from the clock of who handles it. All boxes
are `x1, y1, x2, y2` in pixels of the frame as published (y down), `width` × `height` being that frame's size.
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
    crossing_id,
    frame_id,
    path_id,
    session_end_id,
)

Box = tuple[float, float, float, float]


class Event(BaseModel):
    """What every event has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    run: Token

    def encode(self) -> bytes:
        """JSON bytes, as they travel."""
        return self.model_dump_json(exclude_none=True).encode()


class Model(BaseModel):
    """Which weights made a detection: two counts are comparable only where this is the same."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    name: str
    sha256: str = ""
    precision: str = ""


class Detections(Event):
    """What a detector saw in one frame; the frame's own fields travel with it.

    `skipped` says why a frame could not be looked at: the event exists nevertheless, so that a gap always closes.
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
        """The frame's name, less the run."""
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
        """The event for a frame. Boxes are kept to 1/100 pixel, scores to 1/10000: what travels is what is tracked."""
        return cls(
            **frame.model_dump(exclude={"version"}),
            model=model,
            boxes=tuple((round(a, 2), round(b, 2), round(c, 2), round(d, 2)) for a, b, c, d in boxes),
            scores=tuple(round(score, 4) for score in scores),
            skipped=skipped,
        )


class PathPoint(BaseModel):
    """A track's box at a time, `t` in milliseconds after the path's `at`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    t: int
    box: Box


class Path(Event):
    """A piece of a track's path, simplified: boxes between two points lie near the straight way between them.

    Published at a track's end (`final`) and every 10 s before. Recounting a moved line needs nothing else.

    Unless `confirmed`, the track has shown nobody for certain by then: a shadow, or a second box on somebody. Whatever
    shows people leaves it out; a recount needs it. `gaps` are from one sighting to the next, in milliseconds after
    `at`, where frames between the two did not show the track.
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
        """The path piece's id."""
        return path_id(camera, session, track, part)


class Crossing(Event):
    """A person went over a counting line.

    `seq` is the frame that decided it, `at` the moment at which the path met the line (earlier, where the person
    lingered there), `place` how far along the line it was met: 0 at its first point, 1 at its second.
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
        """The crossing's id."""
        return crossing_id(camera, line, line_revision, session, seq, direction, n)


class SessionEnd(Event):
    """The end of a session, in band on the crossings' subject: `count` crossings came before it."""

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
    """Frames that a `latest` source published and no detector saw."""
    count: int

    @staticmethod
    def identify(camera: str, session: str) -> UUID:
        """The session end's id."""
        return session_end_id(camera, session)


CrossingEvent = Annotated[Crossing | SessionEnd, Field(discriminator="kind")]
CROSSING_EVENT: TypeAdapter[Crossing | SessionEnd] = TypeAdapter(CrossingEvent)


class LineCount(BaseModel):
    """Today's totals of one line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    camera: Token
    line: Token
    in_: Annotated[int, Field(alias="in")] = 0
    out: int = 0


class Counts(Event):
    """A store's totals after a commit. Absolute: a lost notice is mended by the next; a lower `revision` is stale.

    `revision` is the store's version in the database, and the id of the server-sent event.
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
        """JSON bytes, with the names that travel (`in`)."""
        return self.model_dump_json(exclude_none=True, by_alias=True).encode()


class State(StrEnum):
    """How a camera does, in one word; `Status.message` says it in a sentence."""

    STARTING = "starting"
    RUNNING = "running"
    RETRYING = "retrying"
    """The source cannot be read now; it is tried again."""
    REFUSED = "refused"
    """The source or the configuration cannot work until somebody changes it."""
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
    """What is wrong and what to do, for the person who looks at the dashboard. Never holds a password."""
    at: Nanoseconds
    session: Token | None = None
    model: Model | None = None
    fps: float | None = None
    frames: int = 0
    dropped: int = 0


class TrackBox(BaseModel):
    """A person as the tracker sees them in one frame."""

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


class DeadLetter(Event):
    """What could not be handled, and why. The message's bytes travel along as the body; this goes into its headers."""

    service: Token
    subject: str
    reason: str
    at: Nanoseconds
    stream: str = ""
    stream_seq: int = 0
