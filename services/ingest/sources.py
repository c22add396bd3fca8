"""Where frames come from: one small protocol over video files, cameras and the simulation, and how to open each.

The calls block, and are meant for a thread of its own per camera. `open_source` returns once the first frame is there;
`frames` then reads on at the wanted rate:

    source = open_source("rtsp://user:secret@10.0.0.5/stream")
    for grabbed in frames(source, fps=10):
        ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from contracts.identity import Policy
from services.ingest.pacing import Decimator
from services.kit.codec import Image

if TYPE_CHECKING:
    from services.ingest.egress import Egress

OPEN_TIMEOUT = 10.0
"""Seconds until a camera that does not answer is given up. Waking a battery camera takes up to 8."""
READ_TIMEOUT = 10.0
"""Seconds without a frame after which a stream counts as broken."""

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


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


def open_source(
    address: str,
    *,
    egress: Egress | None = None,
    open_timeout: float = OPEN_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    track: int | None = None,
    rate: float | None = None,
) -> FrameSource:
    """Open a source and wait for its first frame.

    Args:
        address: a video file, an `rtsp://`, `rtsps://` (TLS), `rtspu://` (pictures by UDP), `http://` or `https://`
            address, the number of a camera on this machine (`0`, or `/dev/video0`), or `sim://door?…`.
        egress: what may be connected to; everything where nothing is said, as for the operator at a command line.
        open_timeout: seconds a camera may take to answer.
        read_timeout: seconds a camera may take over a frame.
        track: of a source with several video tracks, the number of the one to read, from 1.
        rate: of a video file whose times are wrong or missing, frames per second.

    Raises:
        SourceRefused: it cannot work until somebody changes it.
        SourceLost: it gives nothing now.
    """
    # OpenCV takes a quarter of a second to import, and a bad address needs none of it.
    from services.ingest import device as devices
    from services.ingest import simulation, videofile
    from services.ingest.egress import TRUSTED
    from services.ingest.mistyped import meant_camera, unknown_scheme

    address = address.strip()
    scheme = _SCHEME.match(address)
    device = re.fullmatch(r"(?:/dev/video)?(\d{1,3})", address)
    if device and Path(address).is_file():
        device = None
    kind = "device" if device else scheme[1].lower() if scheme else "file"
    if rate is not None and kind != "file":
        raise SourceRefused("a rate is for video files: a camera and a simulation have their own; leave it out")
    if track is not None and kind in ("device", "sim"):
        raise SourceRefused("a track is for files and streams: what this shows has one alone; leave it out")
    if scheme:
        match scheme[1].lower():
            case "sim":
                return simulation.open_simulation(address)
            case "rtsp" | "rtspu" | "rtsps" | "http" | "https":
                from services.ingest import network

                return network.open_stream(
                    address,
                    egress=egress or TRUSTED,
                    open_timeout=open_timeout,
                    read_timeout=read_timeout,
                    track=track,
                )
            case "file":
                return videofile.open_video(_path_of(address), track=track, rate=rate)
            case other:
                raise SourceRefused(unknown_scheme(other))
    if device:
        return devices.open_device(int(device[1]))
    if not address:
        raise SourceRefused(
            "the source is empty: give a video file, an rtsp:// address, a camera's number or sim://door"
        )
    if address == "-":
        raise SourceRefused(
            "- is standard input, which can be read only once: save the video as a file first, and give its name"
        )
    path = Path(address)
    if (camera := meant_camera(address)) and not path.exists():
        raise SourceRefused(camera)
    return videofile.open_video(path, track=track, rate=rate)


def _path_of(url: str) -> Path:
    """The path that a `file://` address names; a file of that very name wins over what its percent signs stand for."""
    rest = url[len("file://") :]
    if rest.startswith("localhost/"):
        rest = rest.removeprefix("localhost")
    if Path(rest).exists() or "%" not in rest:
        return Path(rest)
    return Path(unquote(rest))


def kept(source: FrameSource, fps: float | None) -> Iterator[tuple[int, int]]:
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
    """The frames of a source at a target rate, pictures and all, until its end; see `kept`."""
    for index, pts_ns in kept(source, fps):
        yield Grabbed(source.retrieve(), pts_ns, index)
