"""Cameras of this machine, read through V4L2."""

from __future__ import annotations

import select
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path

from av.error import FFmpegError

from services.ingest.decoding.decoder import Decoder
from services.ingest.decoding.limits import DEVICE_OPTIONS
from services.ingest.decoding.remarks import remarks_on
from services.ingest.source import OPEN_TIMEOUT, READ_TIMEOUT, SourceLost
from services.ingest.sources.live_camera import LiveCamera
from services.kit.codec import Image

_CLOSE_TIMEOUT = 1.0


class Device:
    """An open V4L2 device as a frame stream. Its driver would wait for ever, so the device is polled before each read.

    Args:
        stream: the device's video.
        path: of the device, `/dev/video…`.
        read_timeout: seconds for a frame.
    """

    def __init__(self, stream: Decoder, path: Path, read_timeout: float) -> None:
        self._stream, self._read_timeout, self.fps = stream, read_timeout, stream.fps
        self._descriptors = select.poll()
        for descriptor in _descriptors_of(path):
            self._descriptors.register(descriptor, select.POLLIN)

    def stop_if_closed(self) -> None:
        """Raise SourceClosed where `close` was called."""
        self._stream.stop_if_closed()

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed."""
        deadline = time.monotonic() + self._read_timeout
        while not self._stream.closed and (left := deadline - time.monotonic()) > 0:
            # In steps: `close` does not wake up a poll.
            if self._descriptors.poll(1000 * min(left, _CLOSE_TIMEOUT)):
                return self._stream.grab()
        return False

    @property
    def arrival(self) -> int:
        """Time of arrival of the grabbed frame: nanoseconds of `time.monotonic_ns`."""
        return self._stream.arrival

    @property
    def outdated(self) -> bool:
        """Always false: frames that waited in the driver come in a burst, which LiveCamera notices."""
        return False

    @property
    def remarks(self) -> list[str]:
        """Remarks on unusual properties of the stream."""
        return remarks_on(self._stream)

    def retrieve(self) -> Image | None:
        """Convert the picture of the grabbed frame; None where that fails."""
        return self._stream.retrieve()

    def close(self) -> None:
        """Release the device within a second; a driver that hangs is left to a thread of its own."""
        closing = threading.Thread(target=self._stream.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_TIMEOUT)


def open_device(
    number: int, *, open_timeout: float = OPEN_TIMEOUT, read_timeout: float = READ_TIMEOUT, folder: Path = Path("/dev")
) -> LiveCamera:
    """Open a camera of this machine.

    Args:
        number: of the device, as in `/dev/video0`.
        open_timeout: seconds until its format is known.
        read_timeout: seconds for a frame.
        folder: of devices.

    Raises:
        SourceLost: it is not plugged in, in use by another program, or sends nothing.
        SourceRefused: its pictures are too large.
    """
    path, name = folder / f"video{number}", f"camera {number}"
    if not path.exists():
        raise SourceLost(
            f"there is no {name} on this machine ({path} is missing): plug it in",
            code="no-such-device",
            source=name,
            path=path,
        )
    opening: Future[Decoder] = Future()

    def open_stream() -> None:
        try:
            stream = Decoder(
                name, str(path), DEVICE_OPTIONS, timeout=(open_timeout, read_timeout), container_format="v4l2"
            )
        except Exception as error:  # noqa: BLE001  # raised again where the result is awaited
            with suppress(InvalidStateError):
                opening.set_exception(error)
            return
        try:
            opening.set_result(stream)
        except InvalidStateError:  # the opening has timed out
            stream.close()

    # FFmpeg reads the first pictures to learn the format; the driver of a camera that sends none waits for ever.
    threading.Thread(target=open_stream, daemon=True).start()
    try:
        stream = opening.result(open_timeout)
    except (TimeoutError, FFmpegError) as error:
        if opening.cancel():
            raise SourceLost(
                f"{name} ({path}) sends no picture", code="no-picture-from-device", source=name, path=path
            ) from error
        raise SourceLost(
            f"{name} ({path}) will not open: another program uses it, or it may not be read",
            code="device-in-use",
            source=name,
            path=path,
        ) from error
    return LiveCamera(name, Device(stream, path, read_timeout), read_timeout)


def _descriptors_of(path: Path) -> list[int]:
    """The file descriptors of a file that this process has open: FFmpeg does not say which one it uses."""
    descriptors = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if entry.samefile(path):
                descriptors.append(int(entry.name))
    return descriptors
