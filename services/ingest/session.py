"""Sessions of files: their names, their frames in order, their end.

The ingest service and the one-process `metrica count` share this module. Therefore both see the same pixels under the
same frame ids, and their crossings have the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, Policy, file_session
from contracts.spec import CameraSpec, Capture
from services.ingest.source import FrameSource, decimate
from services.kit.codec import encode, published_size


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it is published: header and JPEG. The frame that ends a session has an empty JPEG."""

    header: FrameHeader
    jpeg: bytes


def frame_header(
    spec: CameraSpec,
    *,
    session: str,
    seq: int,
    previous: int | None,
    captured_at: int,
    size: tuple[int, int],
    policy: Policy | None = None,
    run: str = LIVE,
    end: EndReason | None = None,
) -> FrameHeader:
    """Make a frame's header.

    Args:
        spec: the camera's; store, camera and revision are taken from it.
        session: the session's id.
        seq: the frame's number in the session, from 0.
        previous: seq of the frame that was published before, None for the first.
        captured_at: ns UTC.
        size: width and height of the JPEG, pixels.
        policy: the spec's where it is not given.
        run: the run that the frame belongs to.
        end: in the header that ends the session, the reason.
    """
    width, height = size
    return FrameHeader(
        run=run,
        store=spec.store,
        camera=spec.camera,
        session=session,
        seq=seq,
        previous=previous,
        captured_at=captured_at,
        width=width,
        height=height,
        spec_revision=spec.revision,
        policy=spec.policy if policy is None else policy,
        end=end,
    )


def session_of(source: FrameSource, capture: Capture, start: int) -> str:
    """Name a source's session: the same content, captured in the same way from the same start, has the same name.

    Args:
        source: a file, or a simulation with an end.
        capture: frame rate, width and JPEG quality.
        start: captured_at of the source's first instant, ns UTC.

    Raises:
        SourceRefused: the source is live, or can no longer be read.
    """
    return file_session(
        source.content_sha256(), fps=capture.fps, width=capture.width, quality=capture.quality, start=start
    )


def file_frames(
    source: FrameSource, spec: CameraSpec, *, session: str, start: int, run: str = LIVE, begin: int = 0
) -> Iterator[Frame]:
    """Read a session's frames in order of seq, and at last the one that ends it.

    Args:
        source: freshly opened; it is read to its end, and stays open.
        spec: the camera's; each frame carries its revision and policy.
        session: from `session_of`, with the same capture and start.
        start: captured_at of the source's first instant, ns UTC.
        run: the run that the frames belong to.
        begin: the first seq to yield, after a restart. A frame has the same seq as in the reading before.

    Raises:
        SourceLost: the source broke while it was read.
        SourceClosed: it was closed before its end.
    """
    size = published_size(*source.size, spec.capture)

    def header(seq: int, pts_ns: int, end: EndReason | None = None) -> FrameHeader:
        return frame_header(
            spec,
            session=session,
            seq=seq,
            previous=seq - 1 if seq else None,
            captured_at=start + pts_ns,
            size=size,
            run=run,
            end=end,
        )

    seq, last_pts = 0, 0
    for index, pts_ns in decimate(source, spec.capture.fps):
        seq, last_pts = index + 1, pts_ns
        if index >= begin:
            encoded = encode(source.retrieve(), spec.capture)
            size = encoded.width, encoded.height
            yield Frame(header(index, pts_ns), encoded.jpeg)
    yield Frame(header(seq, last_pts, EndReason.FINISHED), b"")
