"""One session over a source that can be read again: its name, its frames as they travel, its end.

The ingest service and the one-process `metrica count` both take their frames from here. That is why they see the same
pixels under the same names, and make crossings with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, file_session
from contracts.spec import CameraSpec, Capture
from services.ingest.source import FrameSource, kept
from services.kit.codec import encode, published_size


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it travels: its header, and its JPEG, which is empty in the one that ends the session."""

    header: FrameHeader
    jpeg: bytes


def session_of(source: FrameSource, capture: Capture, start: int) -> str:
    """The session's name: the same source, read the same way from the same start, has the same one.

    Args:
        source: a file, or a simulation with an end.
        capture: how its frames are taken.
        start: captured_at of its first instant, ns UTC.

    Raises:
        SourceRefused: the source is live, or can no longer be read.
    """
    return file_session(
        source.content_sha256(), fps=capture.fps, width=capture.width, quality=capture.quality, start=start
    )


def file_frames(
    source: FrameSource, spec: CameraSpec, *, session: str, start: int, run: str = LIVE, begin: int = 0
) -> Iterator[Frame]:
    """The frames of a session in order of seq, and at last the one that ends it.

    Args:
        source: freshly opened; it is read to its end, and stays open.
        spec: the camera's; its revision and policy travel on each frame.
        session: from `session_of`, with the same capture and start.
        start: captured_at of the source's first instant, ns UTC.
        run: that the frames belong to.
        begin: the seq to go on at, after a restart: it gets the very frame that it had before.

    Raises:
        SourceLost: the source broke while it was read.
        SourceClosed: it was closed; the session is not at its end.
    """
    width, height = published_size(*source.size, spec.capture)

    def header(seq: int, pts_ns: int, end: EndReason | None = None) -> FrameHeader:
        return FrameHeader(
            run=run,
            store=spec.store,
            camera=spec.camera,
            session=session,
            seq=seq,
            previous=seq - 1 if seq else None,
            captured_at=start + pts_ns,
            width=width,
            height=height,
            spec_revision=spec.revision,
            policy=spec.policy,
            end=end,
        )

    seq, last_pts = 0, 0
    for index, pts_ns in kept(source, spec.capture.fps):
        seq, last_pts = index + 1, pts_ns
        if index >= begin:
            encoded = encode(source.retrieve(), spec.capture)
            width, height = encoded.width, encoded.height
            yield Frame(header(index, pts_ns), encoded.jpeg)
    yield Frame(header(seq, last_pts, EndReason.FINISHED), b"")
