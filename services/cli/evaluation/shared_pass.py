"""Counting of one clip with many settings in one pass: it is read once, and no detector processes a picture twice.

The result of each setting is that of a pass of its own: of the frames that `ingest` keeps at its rate, encoded as by
`ingest`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import LIVE
from contracts.spec import CameraSpec, Capture
from services.cli.counting.pipeline import CountResult
from services.cli.counting.prefetch import ahead
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.ingest.decimator import Decimator
from services.ingest.session import frame_header, session_of
from services.ingest.source import FrameSource
from services.kit.codec import Encoded, Image, encode, published_size
from services.tracker.counting.camera_counter import CameraCounter

Encoding = tuple[int, int, int]
"""Width, height and JPEG quality: captures that agree in them encode a picture to the same bytes."""


class Count:
    """A count of a source by one camera spec and one detector. `tally` is its result so far."""

    def __init__(self, source: FrameSource, spec: CameraSpec, detector: Detector) -> None:
        """Prepare the count. The detector must have the spec's model."""
        self.spec, self.detector = spec, detector
        self.tally = CountResult(session_of(source, spec.capture, start=0), detector.model)
        self._decimator = Decimator(spec.capture.fps)
        self._counter = CameraCounter(LIVE, spec.store, spec.camera)

    def wants(self, pts_ns: int) -> bool:
        """Tell if its decimator keeps the frame of this time. Call it once per frame, in order."""
        return self._decimator.keeps(pts_ns)

    def header(self, pts_ns: int, encoded: Encoded) -> FrameHeader:
        """Make the header of its next frame, as `file_frames` does."""
        spec, seq = self.spec, self.tally.frames
        return frame_header(
            spec,
            session=self.tally.session,
            seq=seq,
            previous=seq - 1 if seq else None,
            captured_at=pts_ns,
            size=(encoded.width, encoded.height),
        )

    def take(self, detections: Detections) -> None:
        """Track and count the people of its next frame."""
        self.tally.crossings += self._counter.step(detections, self.spec).crossings
        self.tally.frames += 1
        self.tally.skipped += detections.skipped is not None


@dataclass(frozen=True, slots=True)
class _EncodedFrame:
    """A frame of the source, encoded in each way that a count needs."""

    pts_ns: int
    pictures: tuple[tuple[Encoded, tuple[Count, ...]], ...]


def count_together(source: FrameSource, counts: Sequence[Count]) -> Iterator[int]:
    """Count a source with all these counts. They may differ in anything but the region filter.

    Args:
        source: freshly opened; it is read to its end, and stays open.
        counts: of this source; their tallies are updated. They may share a detector, unless it is stateful.

    Yields:
        The time of each frame that any of them keeps, ns since the first, after it was counted.
    """
    with closing(ahead(_encoded_frames(source, counts))) as frames:
        for frame in frames:
            for encoded, takers in frame.pictures:
                _detect(frame.pts_ns, encoded, takers)
            yield frame.pts_ns


def _encoded_frames(source: FrameSource, counts: Sequence[Count]) -> Iterator[_EncodedFrame]:
    while (pts_ns := source.grab()) is not None:
        takers = [count for count in counts if count.wants(pts_ns)]
        if takers:
            yield _EncodedFrame(pts_ns, tuple(_encode(source.retrieve(), takers)))


def _encode(image: Image, takers: Sequence[Count]) -> Iterator[tuple[Encoded, tuple[Count, ...]]]:
    """Encode a picture in each way that is needed, and yield it with its counts."""
    height, width = image.shape[:2]
    by_encoding: dict[Encoding, list[Count]] = {}
    for count in takers:
        by_encoding.setdefault(_encoding(width, height, count.spec.capture), []).append(count)
    for alike in by_encoding.values():
        yield encode(image, alike[0].spec.capture), tuple(alike)


def _encoding(width: int, height: int, capture: Capture) -> Encoding:
    return (*published_size(width, height, capture), capture.quality)


def _detect(pts_ns: int, encoded: Encoded, takers: Sequence[Count]) -> None:
    """Run each detector once on a picture, and pass its detections to each of its counts."""
    by_detector: dict[Detector, Detections] = {}
    for count in takers:
        header = count.header(pts_ns, encoded)
        detections = by_detector.get(count.detector)
        if detections is None:
            detections = by_detector[count.detector] = analyze(header, encoded.jpeg, count.detector, count.spec)
        own = {"session": header.session, "seq": header.seq, "previous": header.previous}
        count.take(detections.model_copy(update=own))
