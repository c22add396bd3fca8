"""The protocol of all sources of frames: video files, cameras and the simulation. `sources.opening` opens them.

The calls block; each camera has a thread of its own for them:

    source = open_source("rtsp://user:secret@10.0.0.5/stream")
    for index, pts_ns in decimate(source, fps=10):
        image = source.retrieve()
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from contracts.identity import Policy
from services.ingest.decimator import Decimator
from services.kit.codec import Image

OPEN_TIMEOUT = 10.0
"""Seconds until a camera that does not answer is given up. A battery camera takes up to 8 s to wake up."""
READ_TIMEOUT = 10.0
"""Seconds without a frame after which a stream counts as broken."""


class SourceError(Exception):
    """A source gives no frames. The text is shown in the dashboard and says why; it never holds a password.

    Args:
        text: the sentence.
        code: name of the kind of error; by default that of the class.
        params: the values in the sentence, by name.
    """

    code = "source-failed"

    def __init__(self, text: str = "", *, code: str | None = None, **params: object) -> None:
        super().__init__(text)
        self.code, self.params = code or self.code, params


class SourceRefused(SourceError):
    """The source cannot work until its user changes something: no such file, no video, a wrong password."""

    code = "source-refused"


class SourceLost(SourceError):
    """The source gives no frames now, and may later: connection refused, time-out, broken stream. Try again."""

    code = "source-lost"


class SourceClosed(SourceError):
    """`close` was called, most likely from another thread. It is no fault; no more frames come."""


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on how a source is read.

    Attributes:
        text: about the source, without its name.
        option: of `metrica count` that changes how it is read; empty where there is none.
    """

    text: str
    option: str = ""


class FrameSource(Protocol):
    """An open source of frames. One thread reads it; only `close` may be called from another."""

    @property
    def name(self) -> str:
        """The address without its credentials, for display."""
        ...

    @property
    def policy(self) -> Policy:
        """The policy under overload: `every` for a source that can wait, `latest` for a live one."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame, pixels."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames per second, as the source announces; None where it announces nothing."""
        ...

    @property
    def length(self) -> int | None:
        """The approximate number of frames; None where it is unknown."""
        ...

    @property
    def notes(self) -> list[Note]:
        """Remarks for the user on how the source is read; complete once it was read to its end."""
        ...

    def grab(self) -> int | None:
        """Go to the next frame without converting its picture; wait for it where the source is live.

        Returns:
            The frame's `pts_ns`: nanoseconds since the source's first frame, growing from frame to frame; by the own
            time of a file or a simulation, by the arrival of a camera's frames. None at the end.

        Raises:
            SourceClosed: `close` was called.
            SourceLost: the stream broke, or no frame came within the read time-out.
        """
        ...

    def retrieve(self) -> Image:
        """Convert the picture of the frame that `grab` went to.

        Returns:
            (height, width, 3) uint8, BGR.

        Raises:
            SourceClosed: `close` was called.
            SourceLost: the frame cannot be converted.
        """
        ...

    def content_sha256(self) -> str:
        """Sum up the content of a repeatable source: equal sums mean equal frames.

        Raises:
            SourceRefused: the source is live, or its file can no longer be read.
        """
        ...

    def close(self) -> None:
        """Release the source. Safe from any thread: a `grab` under way ends by itself, at the latest by time-out."""
        ...


def decimate(source: FrameSource, fps: float | None) -> Iterator[tuple[int, int]]:
    """Go through a source at a target rate, to its end. The caller decides which pictures to `retrieve`.

    Frames are chosen by their times alone: every reading of a file chooses the same ones.

    Args:
        source: freshly opened.
        fps: target frames per second; None keeps every frame.

    Yields:
        The index of each kept frame, counted from 0 (its seq), and its `pts_ns`.
    """
    decimator = Decimator(fps)
    index = 0
    while (pts_ns := source.grab()) is not None:
        if decimator.keeps(pts_ns):
            yield index, pts_ns
            index += 1
