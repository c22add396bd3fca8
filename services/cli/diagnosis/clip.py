"""A clip of a source: a number of seconds from a time on, of a long video or an endless camera."""

from __future__ import annotations

import hashlib

from contracts.identity import Policy
from services.ingest.source import FrameSource, Note
from services.kit.codec import Image

SECOND = 1_000_000_000


class SourceClip:
    """A source that begins later and ends earlier than the one beneath. It can be read once."""

    def __init__(self, source: FrameSource, *, begin: float, seconds: float) -> None:
        """Cut a clip out of a source.

        Args:
            source: freshly opened; its opener closes it.
            begin: seconds to skip.
            seconds: length of the clip.
        """
        self._source = source
        self._begin_ns, self._span_ns = round(begin * SECOND), round(seconds * SECOND)
        self._first_ns: int | None = None
        self._last_ns, self._grabbed = 0, 0

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._source.name

    @property
    def policy(self) -> Policy:
        """Policy of the source."""
        return self._source.policy

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self._source.size

    @property
    def fps(self) -> float | None:
        """Frames per second, as the source declares."""
        return self._source.fps

    @property
    def length(self) -> int | None:
        """Approximate number of frames of the clip."""
        if self.fps is None:
            return None
        span = round(self._span_ns / SECOND * self.fps)
        if self._source.length is None:
            return span
        return max(0, min(span, self._source.length - round(self._begin_ns / SECOND * self.fps)))

    @property
    def notes(self) -> list[Note]:
        """Notes on the source."""
        return self._source.notes

    @property
    def measured_fps(self) -> float | None:
        """Frames per second that were really read; None before the second frame."""
        return (self._grabbed - 1) * SECOND / self._last_ns if self._last_ns else None

    def grab(self) -> int | None:
        """Advance to the next frame, and return its time in ns since the clip's first frame; None at the end."""
        while (pts_ns := self._source.grab()) is not None and pts_ns < self._begin_ns:
            pass
        if pts_ns is None:
            return None
        if self._first_ns is None:
            self._first_ns = pts_ns
        at = pts_ns - self._first_ns
        if at >= self._span_ns:
            return None
        self._last_ns, self._grabbed = at, self._grabbed + 1
        return at

    def retrieve(self) -> Image:
        """Return the picture of the frame that `grab` advanced to."""
        return self._source.retrieve()

    def content_sha256(self) -> str:
        """Hash the name only, so that cameras have a hash, too: nothing of a clip is stored."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def close(self) -> None:
        """Close the source beneath."""
        self._source.close()
