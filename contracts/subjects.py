"""Subjects: how they are built, and how they are read back. No other module spells one out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from contracts.identity import partition


class Kind(StrEnum):
    """The third token of a subject: what travels there."""

    FRAMES = "frames"
    KEPT = "kept"
    PREVIEW = "preview"
    RECORDED = "recorded"
    DETECTIONS = "detections"
    PATHS = "paths"
    CROSSINGS = "crossings"
    EDGE = "edge"
    STATUS = "status"
    TRACKS = "tracks"
    COUNTS = "counts"


ROOT = "metrica"
DEAD_LETTERS = f"{ROOT}.dlq"
PROBE = f"{ROOT}.probe"
"""Asks ingest for one frame of an address (request and reply, core NATS)."""
PROBE_CANCEL = f"{PROBE}.cancel"
"""Calls a probe off: its id, told to every ingest (core NATS)."""
_GROUPED = {Kind.FRAMES, Kind.KEPT, Kind.DETECTIONS}


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject taken apart: `group` is a frame's pool or a detection's partition, `part` a status's service."""

    run: str
    kind: Kind
    store: str
    camera: str = ""
    group: str = ""
    part: str = ""


def frames(run: str, pool: str, store: str, camera: str) -> str:
    """JPEG frames of a `latest` source: the newest wins."""
    return f"{ROOT}.{run}.{Kind.FRAMES}.{pool}.{store}.{camera}"


def kept(run: str, pool: str, store: str, camera: str) -> str:
    """JPEG frames of an `every` source: none is dropped."""
    return f"{ROOT}.{run}.{Kind.KEPT}.{pool}.{store}.{camera}"


def preview(run: str, store: str, camera: str) -> str:
    """The newest picture of a camera, for people to look at."""
    return f"{ROOT}.{run}.{Kind.PREVIEW}.{store}.{camera}"


def recorded(run: str, store: str, camera: str) -> str:
    """The frames of a camera whose owner has switched recording on, to be looked at once more."""
    return f"{ROOT}.{run}.{Kind.RECORDED}.{store}.{camera}"


def detections(run: str, store: str, camera: str) -> str:
    """What a detector saw in each frame, grouped by the camera's partition."""
    return f"{ROOT}.{run}.{Kind.DETECTIONS}.{partition(camera)}.{store}.{camera}"


def paths(run: str, store: str, camera: str) -> str:
    """Where tracks went, in pieces."""
    return f"{ROOT}.{run}.{Kind.PATHS}.{store}.{camera}"


def crossings(run: str, store: str, camera: str) -> str:
    """Crossings, and the end of each session."""
    return f"{ROOT}.{run}.{Kind.CROSSINGS}.{store}.{camera}"


def edge(run: str, store: str, camera: str) -> str:
    """Crossings that a worker at the store's edge found, and sent over HTTP."""
    return f"{ROOT}.{run}.{Kind.EDGE}.{store}.{camera}"


def status(run: str, store: str, camera: str, service: str) -> str:
    """A camera's health as one service sees it. One subject per service, so that none hides another's last word."""
    return f"{ROOT}.{run}.{Kind.STATUS}.{store}.{camera}.{service}"


def tracks(run: str, store: str, camera: str) -> str:
    """Boxes for overlays, at most once (core NATS)."""
    return f"{ROOT}.{run}.{Kind.TRACKS}.{store}.{camera}"


def counts(run: str, store: str) -> str:
    """A store's totals after a commit, at most once (core NATS)."""
    return f"{ROOT}.{run}.{Kind.COUNTS}.{store}"


def dead_letter(service: str, run: str) -> str:
    """What a service could not handle, with the reason in its headers."""
    return f"{DEAD_LETTERS}.{service}.{run}"


def inbox(user: str) -> str:
    """Where answers to a user's requests come: nobody else listens there."""
    return f"_INBOX_{user}"


def pool_filter(run: str, kind: Kind, pool: str) -> str:
    """All frames of one pool: what the detectors that hold its model read."""
    return f"{ROOT}.{run}.{kind}.{pool}.>"


def partition_filter(run: str, number: int) -> str:
    """All detections of one partition: what its tracker reads."""
    return f"{ROOT}.{run}.{Kind.DETECTIONS}.{number}.>"


@lru_cache(maxsize=4096)
def parse(subject: str) -> Subject:
    """Take a subject apart.

    Raises:
        ValueError: it is none of Metrica's.
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
