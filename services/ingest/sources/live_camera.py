"""Live cameras: what is the same for those on the network (`network`) and those of this machine (`device`)."""

from __future__ import annotations

import time
from typing import Protocol

from contracts.identity import Policy
from services.ingest.source import Note, SourceLost, SourceRefused
from services.kit.codec import Image

BURST_NS = 15_000_000
"""Frames that come closer than this were waiting in a buffer, after a stall of ours or of the network: they are passed
over, so that no stale picture is taken for a new one. No camera that counts people sends more than 60 a second."""
BURST_PATIENCE_NS, BURST_PATIENCE_FRAMES = 500_000_000, 30
"""After so long, and so many frames that were passed over, the next one is taken: a camera that does send that fast is
not waited for in vain. Time alone says nothing: it goes by while a busy machine lets us wait, too."""
OUTDATED_PATIENCE_NS = 3_000_000_000
"""The same where newer frames are known to wait: this machine cannot keep up, and an old frame is better than none."""


class Frames(Protocol):
    """An open stream of frames; only `close` may be called from another thread than the reader's."""

    @property
    def fps(self) -> float:
        """Frames per second that it announces; 0 where it says nothing."""
        ...

    def stop_if_closed(self) -> None:
        """Raise SourceClosed where `close` was called."""
        ...

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed."""
        ...

    @property
    def arrival(self) -> int:
        """Moment that the grabbed frame is dated by, never a coming one: nanoseconds of `time.monotonic_ns`."""
        ...

    @property
    def outdated(self) -> bool:
        """Tell whether a newer frame than the one that was grabbed is known to have arrived already."""
        ...

    @property
    def remarks(self) -> list[str]:
        """Words on what is unusual about the stream, as far as it was read."""
        ...

    def retrieve(self) -> Image | None:
        """The picture of the frame that was grabbed: None where it cannot be unpacked."""
        ...

    def close(self) -> None:
        """Give it back; a `grab` under way ends by itself."""
        ...


class LiveCamera:
    """A camera as a source of frames: the time of a frame is the time of its arrival."""

    policy = Policy.LATEST
    length = None

    def __init__(self, name: str, capture: Frames, read_timeout: float) -> None:
        self._name = name
        self._capture = capture
        self._read_timeout = read_timeout
        if not capture.grab():
            capture.close()
            raise SourceLost(f"{name} answers, but sent no picture within {read_timeout:g} s")
        image = capture.retrieve()
        if image is None:
            capture.close()
            raise SourceRefused(f"{name} sends pictures in a form that cannot be unpacked: set it to H.264 or MJPEG")
        self._size = (image.shape[1], image.shape[0])
        # That first picture is as old as the opening took: it is shown to nobody.
        self._last_arrival = time.monotonic_ns()
        self._first_arrival: int | None = None

    @property
    def name(self) -> str:
        """The camera's host."""
        return self._name

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame, pixels."""
        return self._size

    @property
    def fps(self) -> float | None:
        """Frames per second that the camera announces; many announce nonsense."""
        fps = self._capture.fps
        return fps if 0 < fps <= 240 else None

    @property
    def notes(self) -> list[Note]:
        """Remarks on what is unusual about the stream, as far as it was read."""
        return [Note(text) for text in self._capture.remarks]

    def grab(self) -> int:
        """Wait for the next frame: its time of arrival, counted from the first one's."""
        passed, since = 0, 0  # frames that were passed over, and the arrival of the first of them
        while True:
            waits_since = time.monotonic_ns()
            if not self._capture.grab():
                self._capture.stop_if_closed()
                raise self._broken((time.monotonic_ns() - waits_since) / 1e9)
            arrival = self._capture.arrival
            outdated, burst = self._capture.outdated, arrival - self._last_arrival < BURST_NS
            self._last_arrival = arrival
            patience = OUTDATED_PATIENCE_NS if outdated else BURST_PATIENCE_NS
            if not (outdated or burst) or (passed >= BURST_PATIENCE_FRAMES and arrival - since >= patience):
                break
            if not passed:
                since = arrival
            passed += 1
        if self._first_arrival is None:
            self._first_arrival = arrival
        return arrival - self._first_arrival

    def retrieve(self) -> Image:
        """The picture of the frame that `grab` went to."""
        image = self._capture.retrieve()
        if image is None:
            self._capture.stop_if_closed()
            raise SourceLost(f"{self._name} sent a picture that cannot be unpacked")
        return image

    def content_sha256(self) -> str:
        """Refused: nobody knows what a camera will show."""
        raise SourceRefused(f"{self._name} is live: it cannot be read twice")

    def close(self) -> None:
        """Hang up."""
        self._capture.close()

    def _broken(self, waited: float) -> SourceLost:
        # FFmpeg gives up a little early or late, by its own clock.
        if waited >= self._read_timeout * 0.9:
            return SourceLost(f"{self._name} sent no picture for {waited:.0f} s")
        return SourceLost(f"{self._name} ended the stream")
