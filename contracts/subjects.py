"""Building and parsing of subjects. No other module spells one out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from contracts.identity import partition


class Kind(StrEnum):
    """The third token of a subject: the kind of its messages."""

    FRAMES = "frames"
    KEPT = "kept"
    PREVIEW = "preview"
    RECORDED = "recorded"
    DETECTIONS = "detections"
    PATHS = "paths"
    CROSSINGS = "crossings"
    COVERAGE = "coverage"
    EDGE = "edge"
    STATUS = "status"
    PROGRESS = "progress"
    TRACKS = "tracks"
    COUNTS = "counts"


ROOT = "metrica"
DEAD_LETTERS = f"{ROOT}.dlq"
PROBE = f"{ROOT}.probe"
"""Requests for one frame of an address, answered by ingest (request and reply, core NATS)."""
PROBE_CANCEL = f"{PROBE}.cancel"
"""Cancels a probe by its id; received by every ingest replica (core NATS)."""
_OUTSIDE_RUNS = frozenset(subject.removeprefix(f"{ROOT}.") for subject in (DEAD_LETTERS, PROBE))
_KINDS = frozenset(kind.value for kind in Kind)
_GROUPED = {Kind.FRAMES, Kind.KEPT, Kind.DETECTIONS}


@dataclass(frozen=True, slots=True)
class Subject:
    """A parsed subject: `group` is a frame's pool or a detection's partition, `part` a status's service."""

    run: str
    kind: Kind
    store: str
    camera: str = ""
    group: str = ""
    part: str = ""


def frames(run: str, pool: str, store: str, camera: str) -> str:
    """Return the subject of the JPEG frames of a `latest` source: the newest wins."""
    return f"{ROOT}.{run}.{Kind.FRAMES}.{pool}.{store}.{camera}"


def kept(run: str, pool: str, store: str, camera: str) -> str:
    """Return the subject of the JPEG frames of an `every` source: none is dropped."""
    return f"{ROOT}.{run}.{Kind.KEPT}.{pool}.{store}.{camera}"


def preview(run: str, store: str, camera: str) -> str:
    """Return the subject of a camera's newest picture, for display."""
    return f"{ROOT}.{run}.{Kind.PREVIEW}.{store}.{camera}"


def recorded(run: str, store: str, camera: str) -> str:
    """Return the subject of a camera's recorded frames, for replays. Its owner must have enabled recording."""
    return f"{ROOT}.{run}.{Kind.RECORDED}.{store}.{camera}"


def detections(run: str, store: str, camera: str) -> str:
    """Return the subject of a camera's detections, grouped by the camera's partition."""
    return f"{ROOT}.{run}.{Kind.DETECTIONS}.{partition(camera)}.{store}.{camera}"


def paths(run: str, store: str, camera: str) -> str:
    """Return the subject of the parts of a camera's paths."""
    return f"{ROOT}.{run}.{Kind.PATHS}.{store}.{camera}"


def crossings(run: str, store: str, camera: str) -> str:
    """Return the subject of a camera's crossings and session ends."""
    return f"{ROOT}.{run}.{Kind.CROSSINGS}.{store}.{camera}"


def coverage(run: str, store: str, camera: str) -> str:
    """Return the subject of the intervals in which a camera was counted."""
    return f"{ROOT}.{run}.{Kind.COVERAGE}.{store}.{camera}"


def edge(run: str, store: str, camera: str) -> str:
    """Return the subject of crossings that an edge worker in the store sent over HTTP."""
    return f"{ROOT}.{run}.{Kind.EDGE}.{store}.{camera}"


def status(run: str, store: str, camera: str, service: str) -> str:
    """Return the subject of a camera's status from one service: the stream keeps the last of each service."""
    return f"{ROOT}.{run}.{Kind.STATUS}.{store}.{camera}.{service}"


def progress(run: str, store: str, camera: str) -> str:
    """Return the subject of the tracker's progress in a camera of a run: the run's stream keeps the last."""
    return f"{ROOT}.{run}.{Kind.PROGRESS}.{store}.{camera}"


def tracks(run: str, store: str, camera: str) -> str:
    """Return the subject of boxes for overlays, sent at most once (core NATS)."""
    return f"{ROOT}.{run}.{Kind.TRACKS}.{store}.{camera}"


def counts(run: str, store: str) -> str:
    """Return the subject of a store's totals after a commit, sent at most once (core NATS)."""
    return f"{ROOT}.{run}.{Kind.COUNTS}.{store}"


def dead_letter(service: str, run: str) -> str:
    """Return the subject of a service's dead letters."""
    return f"{DEAD_LETTERS}.{service}.{run}"


def inbox(user: str) -> str:
    """Return the prefix of subjects for answers to a NATS user's requests. Only that user may subscribe to it."""
    return f"_INBOX_{user}"


def pool_filter(run: str, kind: Kind, pool: str) -> str:
    """Return the filter for all frames of a pool, read by the detectors with its model."""
    return f"{ROOT}.{run}.{kind}.{pool}.>"


def partition_filter(run: str, number: int) -> str:
    """Return the filter for all detections of a partition, read by the tracker that holds it."""
    return f"{ROOT}.{run}.{Kind.DETECTIONS}.{number}.>"


def kind_of(subject: str) -> str:
    """Return the kind of a subject's messages, for metrics: one of a few values, whatever names the subject has.

    Dead letters are `dlq`, probes and their cancellations `probe`, and subjects that are not Metrica's `other`.
    """
    root, _, rest = subject.partition(".")
    first, _, rest = rest.partition(".")
    if root != ROOT:
        return "other"
    if first in _OUTSIDE_RUNS:
        return first
    kind = rest.partition(".")[0]
    return kind if kind in _KINDS else "other"


@lru_cache(maxsize=4096)
def parse(subject: str) -> Subject:
    """Parse a subject.

    Raises:
        ValueError: it is not a subject of Metrica's.
    """
    root, _, rest = subject.partition(".")
    run, _, rest = rest.partition(".")
    kind_text, _, rest = rest.partition(".")
    names = rest.split(".")
    if root != ROOT or not run or kind_text not in set(Kind) or not all(names):
        raise ValueError(f"{subject!r} is not a subject of Metrica's")
    kind = Kind(kind_text)
    if kind is Kind.COUNTS and len(names) == 1:
        return Subject(run, kind, store=names[0])
    if kind is Kind.STATUS and len(names) == 3:
        return Subject(run, kind, store=names[0], camera=names[1], part=names[2])
    if kind in _GROUPED and len(names) == 3:
        return Subject(run, kind, group=names[0], store=names[1], camera=names[2])
    if kind not in _GROUPED | {Kind.COUNTS, Kind.STATUS} and len(names) == 2:
        return Subject(run, kind, store=names[0], camera=names[1])
    raise ValueError(f"{subject!r} has the wrong number of parts for {kind}")
