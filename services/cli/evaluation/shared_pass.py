"""One clip counted in many ways at once: it is read once, and no detector looks twice at the same picture.

Each way counts what it would count alone: the frames that `ingest` keeps at its rate, encoded as `ingest` does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import LIVE
from contracts.spec import CameraSpec, Capture
from services.cli.counting.pipeline import Tally
from services.cli.counting.prefetch import ahead
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.ingest.decimator import Decimator
from services.ingest.session import frame_header, session_of
from services.ingest.source import FrameSource
from services.kit.codec import Encoded, Image, encode, published_size
from services.tracker.counting.camera_counter import CameraCounter

Look = tuple[int, int, int]
"""Width, height and JPEG quality: captures that agree in them make the same bytes of a picture."""


class Count:
    """One way to count a source: a camera's spec under a detector. `tally` is its result so far."""

    def __init__(self, source: FrameSource, spec: CameraSpec, detector: Detector) -> None:
        """Prepare the count; the detector is of the model that the spec names."""
        self.spec, self.detector = spec, detector
        self.tally = Tally(session_of(source, spec.capture, start=0), detector.model)
        self._decimator = Decimator(spec.capture.fps)
        self._counter = CameraCounter(LIVE, spec.store, spec.camera)

    def wants(self, pts_ns: int) -> bool:
        """Whether the frame at this time is one of its rate. Asked once per frame, in order."""
        return self._decimator.keeps(pts_ns)

    def header(self, pts_ns: int, encoded: Encoded) -> FrameHeader:
        """The header of its next frame, as `file_frames` writes it."""
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
class _Moment:
    """A frame of the source, encoded in each way in which somebody wants it."""

    pts_ns: int
    pictures: tuple[tuple[Encoded, tuple[Count, ...]], ...]


def count_together(source: FrameSource, counts: Sequence[Count]) -> Iterator[int]:
    """Count a source in all these ways, which may differ in anything but where they look for people.

    Args:
        source: freshly opened; it is read to its end, and stays open.
        counts: of this source; their tallies grow along. They may share a detector, unless it is stateful.

    Yields:
        After each frame of the source that any of them wants: its time, ns since the first.
    """
    with closing(ahead(_moments(source, counts))) as moments:
        for moment in moments:
            for encoded, takers in moment.pictures:
                _look(moment.pts_ns, encoded, takers)
            yield moment.pts_ns


def _moments(source: FrameSource, counts: Sequence[Count]) -> Iterator[_Moment]:
    while (pts_ns := source.grab()) is not None:
        takers = [count for count in counts if count.wants(pts_ns)]
        if takers:
            yield _Moment(pts_ns, tuple(_encode(source.retrieve(), takers)))


def _encode(image: Image, takers: Sequence[Count]) -> Iterator[tuple[Encoded, tuple[Count, ...]]]:
    """The picture once for each look, beside who wants it so."""
    height, width = image.shape[:2]
    looks: dict[Look, list[Count]] = {}
    for count in takers:
        looks.setdefault(_look_of(width, height, count.spec.capture), []).append(count)
    for alike in looks.values():
        yield encode(image, alike[0].spec.capture), tuple(alike)


def _look_of(width: int, height: int, capture: Capture) -> Look:
    return (*published_size(width, height, capture), capture.quality)


def _look(pts_ns: int, encoded: Encoded, takers: Sequence[Count]) -> None:
    """Let each detector look at a picture once, and each count take what its detector saw."""
    seen: dict[Detector, Detections] = {}
    for count in takers:
        header = count.header(pts_ns, encoded)
        found = seen.get(count.detector)
        if found is None:
            found = seen[count.detector] = analyze(header, encoded.jpeg, count.detector, count.spec)
        own = {"session": header.session, "seq": header.seq, "previous": header.previous}
        count.take(found.model_copy(update=own))
