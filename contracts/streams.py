"""Streams and KV buckets: each is declared here once, and made by the one service that owns it.

A run other than the live one has streams of its own, made and removed by the replay service; see `contracts.runs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from contracts.identity import LIVE
from contracts.subjects import DEAD_LETTERS, ROOT, Kind

MIB = 1024 * 1024
HOUR = 3600.0
DAY = 24 * HOUR


class Owner(StrEnum):
    """A service as the owner of streams, and as a user of NATS."""

    INGEST = "ingest"
    DETECTOR = "detector"
    TRACKER = "tracker"
    PERSISTENCE = "persistence"
    API = "api"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Stream:
    """A JetStream stream. Times are in seconds, sizes in bytes; 0 for no limit. A run's stream has no owner."""

    name: str
    subjects: tuple[str, ...]
    owner: Owner | None
    in_memory: bool = False
    work_queue: bool = False
    discard_new: bool = False
    max_age: float = 0
    max_bytes: int = 0
    max_per_subject: int = 0
    duplicate_window: float = 120


@dataclass(frozen=True, slots=True)
class Bucket:
    """A KV bucket. `ttl` in seconds, 0 for ever. A bucket in memory is lost when the server stops."""

    name: str
    owner: Owner
    ttl: float = 0
    history: int = 1
    in_memory: bool = False


def _subjects(run: str, kind: Kind) -> tuple[str, ...]:
    return (f"{ROOT}.{run}.{kind}.>",)


def _live(kind: Kind) -> tuple[str, ...]:
    return _subjects(LIVE, kind)


FRAMES = Stream(
    "FRAMES",
    _live(Kind.FRAMES),
    Owner.INGEST,
    in_memory=True,
    max_per_subject=3,
    max_age=10,
    max_bytes=256 * MIB,
    duplicate_window=5,
)
KEPT = Stream(
    "KEPT",
    _live(Kind.KEPT),
    Owner.INGEST,
    work_queue=True,
    discard_new=True,
    max_per_subject=64,
    max_bytes=256 * MIB,
)
PREVIEW = Stream(
    "PREVIEW", _live(Kind.PREVIEW), Owner.INGEST, in_memory=True, max_per_subject=1, max_age=60, duplicate_window=5
)
RECORDED = Stream("RECORDED", _live(Kind.RECORDED), Owner.INGEST, max_age=7 * DAY, max_bytes=2048 * MIB)
STATUS = Stream("STATUS", _live(Kind.STATUS), Owner.INGEST, max_per_subject=200, max_age=DAY, max_bytes=64 * MIB)
DETECTIONS = Stream("DETECTIONS", _live(Kind.DETECTIONS), Owner.DETECTOR, max_age=7 * DAY, max_bytes=2048 * MIB)
PATHS = Stream("PATHS", _live(Kind.PATHS), Owner.TRACKER, max_age=35 * DAY, max_bytes=2048 * MIB)
CROSSINGS = Stream(
    "CROSSINGS",
    _live(Kind.CROSSINGS) + _live(Kind.COVERAGE) + _live(Kind.EDGE),
    Owner.TRACKER,
    max_age=35 * DAY,
    max_bytes=512 * MIB,
)
DLQ = Stream("DLQ", (f"{DEAD_LETTERS}.>",), Owner.PERSISTENCE, max_age=35 * DAY, max_bytes=256 * MIB)

STREAMS = (FRAMES, KEPT, PREVIEW, RECORDED, STATUS, DETECTIONS, PATHS, CROSSINGS, DLQ)

CAMERAS = Bucket("cameras", Owner.API)
RUNS = Bucket("runs", Owner.API)
SOURCES = Bucket("sources", Owner.API)
INGEST_STATE = Bucket("ingest_state", Owner.INGEST)
ATTEMPTS = Bucket("attempts", Owner.DETECTOR, ttl=HOUR)
VIEWS = Bucket("views", Owner.DETECTOR, ttl=600, in_memory=True)
CHECKPOINTS = Bucket("checkpoints", Owner.TRACKER)
LEASES = Bucket("leases", Owner.TRACKER, ttl=5)

BUCKETS = (CAMERAS, RUNS, SOURCES, INGEST_STATE, ATTEMPTS, VIEWS, CHECKPOINTS, LEASES)


def owned_by(owner: Owner) -> tuple[tuple[Stream, ...], tuple[Bucket, ...]]:
    """Return the streams and buckets that a service declares."""
    return tuple(s for s in STREAMS if s.owner is owner), tuple(b for b in BUCKETS if b.owner is owner)


class RunStreams(NamedTuple):
    """The streams of a run other than the live one."""

    kept: Stream
    detections: Stream
    paths: Stream
    crossings: Stream
    progress: Stream


def run_streams(run: str) -> RunStreams:
    """Return the streams of a run. They are smaller than the live ones: processed messages need not stay."""

    def stream(kind: Kind, max_bytes: int) -> Stream:
        return Stream(f"RUN_{run}_{kind.upper()}", _subjects(run, kind), None, max_bytes=max_bytes)

    crossings = stream(Kind.CROSSINGS, 256 * MIB)

    return RunStreams(
        kept=replace(stream(Kind.KEPT, 256 * MIB), work_queue=True, discard_new=True, max_per_subject=64),
        detections=stream(Kind.DETECTIONS, 512 * MIB),
        paths=stream(Kind.PATHS, 128 * MIB),
        crossings=replace(crossings, subjects=crossings.subjects + _subjects(run, Kind.COVERAGE)),
        progress=replace(stream(Kind.PROGRESS, 16 * MIB), max_per_subject=1),
    )
