"""cv2.VideoCapture made safe to close from another thread, and quiet on stderr."""

from __future__ import annotations

import threading
import time
from typing import cast

import cv2
import numpy as np

from services.ingest.sources import SourceClosed
from services.kit.codec import Image

# OpenCV warns of every device that it cannot open.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Capture:
    """A video capture. `close` never frees it under a read: whoever is last, the reader or the closer, frees it."""

    def __init__(self, source: str | int, backend: int, options: dict[int, int]) -> None:
        flat = [number for option in options.items() for number in option]
        self._capture = cv2.VideoCapture(source, backend, flat)
        self._busy = threading.Lock()
        self._closed = threading.Event()

    @property
    def opened(self) -> bool:
        """Whether the source could be opened."""
        return self._capture.isOpened()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def stop_if_closed(self) -> None:
        """Tell a failed read of a source that was closed from one of a source that broke.

        Raises:
            SourceClosed: `close` was called.
        """
        if self.closed:
            raise SourceClosed("the source was closed")

    @property
    def fps(self) -> float:
        """Frames per second that the source announces; 0 where it says nothing."""
        return self.get(cv2.CAP_PROP_FPS)

    def get(self, prop: int) -> float:
        """A property of the capture; 0 where it is not known."""
        with self._busy:
            return 0.0 if self.closed else self._capture.get(prop)

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed."""
        with self._busy:
            done = not self.closed and self._capture.grab()
        if self.closed:
            self.close()
            return False
        return done

    @property
    def arrival(self) -> int:
        """Now: who asks has just grabbed the frame."""
        return time.monotonic_ns()

    @property
    def outdated(self) -> bool:
        """Never: devices are told to keep one frame."""
        return False

    def retrieve(self) -> Image | None:
        """Unpack the frame that was grabbed: None where it cannot be."""
        with self._busy:
            done, image = (False, None) if self.closed else self._capture.retrieve()
        if self.closed:
            self.close()
        if not done or image is None or image.size == 0 or image.dtype != np.uint8:
            return None
        return cast("Image", image)

    def close(self) -> None:
        """Free the capture, or leave that to the read that is under way."""
        self._closed.set()
        if self._busy.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._busy.release()
