"""Opening of sources by address: video files, network cameras, cameras of this machine, and the simulation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from services.ingest.source import OPEN_TIMEOUT, READ_TIMEOUT, FrameSource, SourceRefused

if TYPE_CHECKING:
    from services.ingest.egress import Egress

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def open_source(
    address: str,
    *,
    egress: Egress | None = None,
    open_timeout: float = OPEN_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    track: int | None = None,
    rate: float | None = None,
) -> FrameSource:
    """Open a source, and wait for its first frame.

    Args:
        address: a video file, an `rtsp://`, `rtsps://` (TLS), `rtspu://` (pictures by UDP), `http://` or `https://`
            address, the number of a camera on this machine (`0`, or `/dev/video0`), or `sim://door?…`.
        egress: the rule for its connections; without one everything is allowed, as for the operator at a command line.
        open_timeout: seconds until a camera that does not answer is given up.
        read_timeout: seconds without a frame after which a stream counts as broken.
        track: the number of the video track to read, from 1; None chooses the main one.
        rate: frames per second of a video file, in place of its times where those are wrong or missing.

    Raises:
        SourceRefused: the address or the source's settings must be changed.
        SourceLost: the source gives no frames now.
    """
    # Importing OpenCV takes a quarter of a second, which the refusal of a bad address need not wait for.
    from services.ingest.egress import TRUSTED
    from services.ingest.sources import device as devices
    from services.ingest.sources import simulation, video_file
    from services.ingest.sources.mistyped import meant_camera, unknown_scheme

    address = address.strip()
    scheme = _SCHEME.match(address)
    device = re.fullmatch(r"(?:/dev/video)?(\d{1,3})", address)
    if device and Path(address).is_file():
        device = None
    kind = "device" if device else scheme[1].lower() if scheme else "file"
    if rate is not None and kind != "file":
        raise SourceRefused(
            "a rate is for video files: a camera and a simulation have their own; leave it out",
            code="rate-not-for-source",
        )
    if track is not None and kind in ("device", "sim"):
        raise SourceRefused(
            "a track is for files and streams: this source has one alone; leave it out", code="track-not-for-source"
        )
    if scheme:
        match scheme[1].lower():
            case "sim":
                return simulation.open_simulation(address)
            case "rtsp" | "rtspu" | "rtsps" | "http" | "https":
                from services.ingest.sources import network

                return network.open_stream(
                    address,
                    egress=egress or TRUSTED,
                    open_timeout=open_timeout,
                    read_timeout=read_timeout,
                    track=track,
                )
            case "file":
                return video_file.open_video(_path_of(address), track=track, rate=rate)
            case other:
                raise SourceRefused(unknown_scheme(other), code="unknown-scheme", scheme=other)
    if device:
        return devices.open_device(int(device[1]))
    if not address:
        raise SourceRefused(
            "the source is empty: give a video file, an rtsp:// address, a camera's number or sim://door",
            code="source-empty",
        )
    if address == "-":
        raise SourceRefused(
            "- is standard input, which can be read only once: save the video as a file first, and give its name",
            code="source-is-standard-input",
        )
    path = Path(address)
    if (camera := meant_camera(address)) and not path.exists():
        raise SourceRefused(camera, code="unknown-source")
    return video_file.open_video(path, track=track, rate=rate)


def _path_of(url: str) -> Path:
    """The path of a `file://` address. Percent signs are decoded unless a file of the undecoded name exists."""
    rest = url[len("file://") :]
    if rest.startswith("localhost/"):
        rest = rest.removeprefix("localhost")
    if Path(rest).exists() or "%" not in rest:
        return Path(rest)
    return Path(unquote(rest))
