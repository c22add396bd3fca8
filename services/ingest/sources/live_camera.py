"""Live cameras: the common part of network cameras (`network`) and cameras of this machine (`device`)."""

from __future__ import annotations

import time
from typing import Protocol

from contracts.identity import Policy
from services.ingest.source import Note, SourceLost, SourceRefused
from services.kit.codec import Image

BURST_NS = 15_000_000
"""Frames that arrive closer together than this waited in a buffer, after a stall of ingest or of the network. They are
skipped, so that no stale frame is taken for a new one. No camera that counts people sends more than 60 a second."""
BURST_PATIENCE_NS, BURST_PATIENCE_FRAMES = 500_000_000, 30
"""After so long, and so many skipped frames, the next frame is taken: the camera does send that fast. Time alone would
not do, as it also passes while a busy machine keeps ingest waiting."""
OUTDATED_PATIENCE_NS = 3_000_000_000
"""The same where newer frames are known to wait: the machine cannot keep up, and an old frame is better than none."""


class FrameStream(Protocol):
    """An open stream of frames. One thread reads it; only `close` may be called from another."""

    @property
    def fps(self) -> float:
        """Frames per second that the stream announces; 0 where it announces nothing."""
        ...

    def stop_if_closed(self) -> None:
        """Raise SourceClosed where `close` was called."""
        ...

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed."""
        ...

    @property
    def arrival(self) -> int:
        """Date of the grabbed frame, never in the future: nanoseconds of `time.monotonic_ns`."""
        ...

    @property
    def outdated(self) -> bool:
        """Tell whether a newer frame than the grabbed one is known to have arrived already."""
        ...

    @property
    def remarks(self) -> list[str]:
        """Remarks on unusual properties of the stream, as far as it was read."""
        ...

    def retrieve(self) -> Image | None:
        """Convert the picture of the grabbed frame; None where that fails."""
        ...

    def close(self) -> None:
        """Release the stream; a `grab` under way ends by itself."""
        ...


class LiveCamera:
    """A live camera as a source of frames. A frame's time is that of its arrival.

    Args:
        name: for display.
        stream: freshly opened; its first frame is read and thrown away.
        read_timeout: seconds for a frame.

    Attributes:
        name: the camera's host, or its number on this machine.
        size: width and height of the first frame, pixels.

    Raises:
        SourceLost: no frame came in time.
        SourceRefused: its pictures cannot be converted.
    """

    policy = Policy.LATEST
    length = None

    def __init__(self, name: str, stream: FrameStream, read_timeout: float) -> None:
        self.name = name
        self._stream = stream
        self._read_timeout = read_timeout
        if not stream.grab():
            stream.close()
            raise SourceLost(
                f"{name} answers, but sent no picture within {read_timeout:g} s",
                code="no-first-picture",
                source=name,
                read_timeout=read_timeout,
            )
        image = stream.retrieve()
        if image is None:
            stream.close()
            raise SourceRefused(
                f"{name} sends pictures in a form that cannot be unpacked: set it to H.264 or MJPEG",
                code="form-of-pictures",
                source=name,
            )
        self.size = (image.shape[1], image.shape[0])
        # The first frame is as old as the opening took: it is not published.
        self._last_arrival = time.monotonic_ns()
        self._first_arrival: int | None = None

    @property
    def fps(self) -> float | None:
        """Frames per second that the camera announces; many announce nonsense."""
        fps = self._stream.fps
        return fps if 0 < fps <= 240 else None

    @property
    def notes(self) -> list[Note]:
        """Remarks on unusual properties of the stream, as far as it was read."""
        return [Note(text) for text in self._stream.remarks]

    def grab(self) -> int:
        """Wait for the next frame. Returns its time of arrival, counted from the first frame's, ns."""
        skipped, since = 0, 0  # frames, and the arrival of the first of them
        while True:
            waits_since = time.monotonic_ns()
            if not self._stream.grab():
                self._stream.stop_if_closed()
                raise self._broken((time.monotonic_ns() - waits_since) / 1e9)
            arrival = self._stream.arrival
            outdated, burst = self._stream.outdated, arrival - self._last_arrival < BURST_NS
            self._last_arrival = arrival
            patience = OUTDATED_PATIENCE_NS if outdated else BURST_PATIENCE_NS
            if not (outdated or burst) or (skipped >= BURST_PATIENCE_FRAMES and arrival - since >= patience):
                break
            if not skipped:
                since = arrival
            skipped += 1
        if self._first_arrival is None:
            self._first_arrival = arrival
        return arrival - self._first_arrival

    def retrieve(self) -> Image:
        """Convert the picture of the frame that `grab` went to."""
        image = self._stream.retrieve()
        if image is None:
            self._stream.stop_if_closed()
            raise SourceLost(
                f"{self.name} sent a picture that cannot be unpacked", code="broken-picture", source=self.name
            )
        return image

    def content_sha256(self) -> str:
        """Raise SourceRefused: a camera's content is not known beforehand."""
        raise SourceRefused(
            f"{self.name} is live: it cannot be read twice", code="live-not-read-twice", source=self.name
        )

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def _broken(self, waited: float) -> SourceLost:
        # FFmpeg gives up a little early or late, by its own clock.
        if waited >= self._read_timeout * 0.9:
            return SourceLost(
                f"{self.name} sent no picture for {waited:.0f} s", code="no-picture", source=self.name, waited=waited
            )
        return SourceLost(f"{self.name} ended the stream", code="stream-ended", source=self.name)
