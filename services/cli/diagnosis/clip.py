"""A stretch of a source: so many seconds from a moment on, of a long film or of a camera without an end."""

from __future__ import annotations

import hashlib

from contracts.identity import Policy
from services.ingest.source import FrameSource, Note
from services.kit.codec import Image

SECOND = 1_000_000_000


class Stretch:
    """A source that begins later and ends sooner than the one beneath. It can be read once."""

    def __init__(self, source: FrameSource, *, begin: float, seconds: float) -> None:
        """Look at a part of a source.

        Args:
            source: freshly opened. It is closed by who opened it.
            begin: seconds to pass over.
            seconds: how long the part is.
        """
        self._source = source
        self._begin_ns, self._span_ns = round(begin * SECOND), round(seconds * SECOND)
        self._first_ns: int | None = None
        self._last_ns, self._grabbed = 0, 0

    @property
    def name(self) -> str:
        """The source's."""
        return self._source.name

    @property
    def policy(self) -> Policy:
        """The source's."""
        return self._source.policy

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self._source.size

    @property
    def fps(self) -> float | None:
        """Frames per second that the source says it has."""
        return self._source.fps

    @property
    def length(self) -> int | None:
        """About how many frames the stretch has."""
        if self.fps is None:
            return None
        span = round(self._span_ns / SECOND * self.fps)
        if self._source.length is None:
            return span
        return max(0, min(span, self._source.length - round(self._begin_ns / SECOND * self.fps)))

    @property
    def notes(self) -> list[Note]:
        """The source's."""
        return self._source.notes

    @property
    def measured_fps(self) -> float | None:
        """Frames per second that really came; None before the second one."""
        return (self._grabbed - 1) * SECOND / self._last_ns if self._last_ns else None

    def grab(self) -> int | None:
        """Go to the next frame of the stretch; its time is counted from the stretch's first one."""
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
        """The picture of the frame that `grab` went to."""
        return self._source.retrieve()

    def content_sha256(self) -> str:
        """Of the name alone, so that a camera has one too: nothing of what is seen here is kept."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def close(self) -> None:
        """Close the source beneath."""
        self._source.close()
