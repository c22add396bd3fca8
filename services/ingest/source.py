"""The protocol of all sources of frames: video files, cameras and the simulation. See `opening` for how to open one.

The calls block, and are meant for a thread of its own per camera:

    source = open_source("rtsp://user:secret@10.0.0.5/stream")
    for grabbed in frames(source, fps=10):
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from contracts.identity import Policy
from services.ingest.decimator import Decimator
from services.kit.codec import Image

OPEN_TIMEOUT = 10.0
"""Seconds until a camera that does not answer is given up. Waking a battery camera takes up to 8."""
READ_TIMEOUT = 10.0
"""Seconds without a frame after which a stream counts as broken."""


class SourceError(Exception):
    """A source gives no frames; the text tells the person at the dashboard why. It never holds a password."""


class SourceRefused(SourceError):
    """The source cannot work until somebody changes it: no such file, no video, a wrong password, a bad parameter."""


class SourceLost(SourceError):
    """The source gives nothing now and may come back: connection refused, time-out, broken stream. Try again later."""


class SourceClosed(SourceError):
    """`close` was called, most likely from another thread: nothing is wrong, and nothing more comes."""


@dataclass(frozen=True, slots=True)
class Grabbed:
    """A frame of a source.

    Attributes:
        image: (height, width, 3) uint8, BGR.
        pts_ns: time since the source's first frame. A file's and a simulation's own time; of a camera, the time of
            arrival on a monotonic clock.
        index: rank among the frames kept, from 0: the frame's seq.
    """

    image: Image
    pts_ns: int
    index: int


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on how a source is read.

    Attributes:
        text: about the source, without its name.
        option: of `metrica count` that changes it; empty where none does.
    """

    text: str
    option: str = ""


class FrameSource(Protocol):
    """An open source of frames. Read by one thread; only `close` may be called from another."""

    @property
    def name(self) -> str:
        """The address without its credentials, for people to read."""
        ...

    @property
    def policy(self) -> Policy:
        """What suits the source under overload: `every` where it can wait, `latest` where time goes on without us."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame, pixels."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames per second that the source says it has."""
        ...

    @property
    def length(self) -> int | None:
        """About how many frames there will be; None where nobody knows."""
        ...

    @property
    def notes(self) -> list[Note]:
        """Remarks for its user on how it is read; complete at its end."""
        ...

    def grab(self) -> int | None:
        """Go to the next frame without unpacking its picture; waits for it where the source is live.

        Returns:
            The frame's `pts_ns`, growing from frame to frame; None at the end.

        Raises:
            SourceClosed: `close` was called.
            SourceLost: the stream broke, or no frame came within the read time-out.
        """
        ...

    def retrieve(self) -> Image:
        """The picture of the frame that `grab` went to.

        Raises:
            SourceClosed: `close` was called.
            SourceLost: the frame cannot be unpacked.
        """
        ...

    def content_sha256(self) -> str:
        """What identifies the content of a source that can be read again: equal sums mean equal frames.

        Raises:
            SourceRefused: a live source, whose content nobody knows beforehand.
        """
        ...

    def close(self) -> None:
        """Give the source back. Safe from any thread: a `grab` under way ends by itself, at the latest by time-out."""
        ...


def decimate(source: FrameSource, fps: float | None) -> Iterator[tuple[int, int]]:
    """Go through a source at a target rate, until its end, leaving it to the caller which pictures to `retrieve`.

    Frames are chosen by their time alone: reading a file twice chooses the very same ones.

    Args:
        source: freshly opened.
        fps: target frames per second, None for the source's own.

    Yields:
        The kept frame's index, counted from 0 (its seq), and its `pts_ns`.
    """
    decimator = Decimator(fps)
    index = 0
    while (pts_ns := source.grab()) is not None:
        if decimator.keeps(pts_ns):
            yield index, pts_ns
            index += 1


def frames(source: FrameSource, fps: float | None) -> Iterator[Grabbed]:
    """The frames of a source at a target rate, pictures and all, until its end; see `decimate`."""
    for index, pts_ns in decimate(source, fps):
        yield Grabbed(source.retrieve(), pts_ns, index)
