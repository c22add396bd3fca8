"""Names, partitions, sessions, times, and the deterministic ids by which counts are exactly-once.

Each id is a function of its inputs only. So two runs over the same input make the same ids, a message that is delivered
twice is recognised, and a comparison of two runs is a join.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field

TOKEN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""One token of a NATS subject: the ids of stores, cameras, lines, runs, pools and sessions (a UUID fits)."""

Token = Annotated[str, Field(pattern=TOKEN_PATTERN)]
Nanoseconds = Annotated[int, Field(ge=0, lt=2**63, description="Nanoseconds since 1970-01-01T00:00:00Z")]
Seq = Annotated[int, Field(ge=0, lt=2**63, description="A frame's place in its session, growing from 0")]
Pixels = Annotated[int, Field(ge=1)]
Revision = Annotated[int, Field(ge=1)]

LIVE = "live"
"""The run of the cameras' own frames, displayed by the dashboards. Any other run name is a replay."""

PARTITIONS = 32
"""Number of partitions of cameras, shared by tracker replicas. Final: a change would strand stored detections."""

_NAMESPACE = uuid5(NAMESPACE_URL, "https://metrica.dev/ids/1")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Direction(StrEnum):
    """Direction of a crossing."""

    IN = "in"
    OUT = "out"


class Policy(StrEnum):
    """Treatment of a source's frames under overload."""

    LATEST = "latest"
    """The newest frame wins; older ones are dropped and counted. For live cameras."""
    EVERY = "every"
    """No frame is dropped; the source is slowed down (backpressure). For files and replays."""


def token(text: str) -> str:
    """Make a valid token of a free name: `YOLO 26n.onnx` becomes `yolo-26n-onnx`.

    A long name is cut, and gets a checksum of the whole, so that two long paths stay different.

    Raises:
        ValueError: no character of the name is usable.
    """
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")
    if not name:
        raise ValueError(f"{text!r} holds no letter or digit to make a name from")
    return name if len(name) <= 64 else f"{name[:55]}-{zlib.crc32(text.encode()):08x}"


def partition(camera: str) -> int:
    """Return the partition (0 … 31) of a camera's detections."""
    return zlib.crc32(camera.encode()) % PARTITIONS


def file_session(content_sha256: str, *, fps: float | None, width: int, quality: int, start: int) -> str:
    """Return a file's session id: the same for the same file, read in the same way from the same start.

    Args:
        content_sha256: of the file's bytes, or of a simulation's canonical address.
        fps: target frames per second, None for the file's own.
        width: greatest width in pixels of the published frames.
        quality: JPEG quality of the published frames.
        start: captured_at of the file's first instant, ns UTC.
    """
    rate = None if fps is None else float(fps)  # 10 and 10.0 are the same rate
    recipe = f"{content_sha256}|{rate}|{width}|{quality}|{start}"
    return hashlib.sha256(recipe.encode()).hexdigest()[:32]


def frame_id(camera: str, session: str, seq: int) -> str:
    """Return the id of a frame and of its detections: JetStream's deduplication key, without the run."""
    return f"{camera}/{session}/{seq}"


def crossing_id(
    camera: str, line: str, line_revision: int, session: str, seq: int, direction: Direction, n: int
) -> UUID:
    """Return the id of a crossing. It depends on no track id and no run.

    Args:
        seq: the frame that decided the crossing.
        n: rank among the crossings of one line, frame and direction, by position along the line.
    """
    return uuid5(_NAMESPACE, f"crossing/{camera}/{line}/{line_revision}/{session}/{seq}/{direction}/{n}")


def edge_id(key: UUID, client_id: str) -> UUID:
    """Return the id of a crossing that an edge worker found: the same for each repetition of a request.

    Args:
        key: id of the edge key.
        client_id: any text that the edge worker gives to this crossing only.
    """
    return uuid5(key, client_id)


def path_id(camera: str, session: str, track: int, part: int) -> UUID:
    """Return the id of one part of a track's path."""
    return uuid5(_NAMESPACE, f"path/{camera}/{session}/{track}/{part}")


def session_end_id(camera: str, session: str) -> UUID:
    """Return the id of a session's end."""
    return uuid5(_NAMESPACE, f"end/{camera}/{session}")


def coverage_id(camera: str, session: str, start: int) -> UUID:
    """Return the id of an interval in which a camera was counted without a gap.

    Args:
        start: captured_at of its first frame, ns UTC.
    """
    return uuid5(_NAMESPACE, f"coverage/{camera}/{session}/{start}")


def to_datetime(ns: int) -> datetime:
    """Convert nanoseconds since the epoch to a UTC time, truncated to Postgres' microseconds."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def to_ns(moment: datetime) -> int:
    """Convert an aware datetime to nanoseconds since the epoch.

    Raises:
        ValueError: the datetime has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: write it as 2026-11-23T09:00:00+01:00")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
