"""The services' pipeline in one process, without a bus: frames are encoded, decoded, detected, tracked and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from contracts.events import Crossing, Model
from contracts.identity import LIVE, Direction
from contracts.spec import CameraSpec
from services.cli.console.options import ModelPlaces, threads_of_environment
from services.cli.counting.prefetch import ahead
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.detector.models.download import ProgressCallback
from services.detector.models.loading import open_detector
from services.ingest.session import Frame, file_frames, session_of
from services.ingest.source import FrameSource
from services.kit.codec import published_size
from services.tracker.counting.camera_counter import CameraCounter, Step

COMMON_FPS = 25.0


@dataclass(frozen=True, slots=True)
class CountedFrame:
    """A frame and the tracker's results for it."""

    frame: Frame
    step: Step


@dataclass(slots=True)
class CountResult:
    """The results of a session so far.

    Attributes:
        session: id of the session.
        model: the weights that were used.
        frames: number of frames.
        skipped: number of those that could not be decoded.
        crossings: in the order in which they were decided.
    """

    session: str
    model: Model
    frames: int = 0
    skipped: int = 0
    crossings: list[Crossing] = field(default_factory=list)

    def count(self, direction: Direction, line: str | None = None) -> int:
        """Count the crossings of a direction, over one line or over all."""
        return sum(
            crossing.direction is direction for crossing in self.crossings if line is None or crossing.line == line
        )


def open_model(name: str, progress: ProgressCallback) -> Detector:
    """Open the detector for a model, with folders and device from the environment.

    Raises:
        ModelUnavailable: with the problem and its remedy.
        CommandError: METRICA_THREADS is no positive whole number.
    """
    places = ModelPlaces.of_environment()
    threads = threads_of_environment()
    return open_detector(
        name,
        folders=places.folders,
        cache=places.cache,
        precision=places.precision,
        threads=threads,
        device=places.device,
        closer=places.closer,
        progress=progress,
    )


class Pipeline:
    """Counts the crossings of one source, from its first frame to its last."""

    def __init__(self, source: FrameSource, spec: CameraSpec, detector: Detector, *, start: int) -> None:
        """Prepare the count.

        Args:
            source: freshly opened.
            spec: the camera's, with its lines.
            detector: of the model that the spec names.
            start: captured_at of the source's first instant, ns UTC.
        """
        self._source, self._spec, self._detector, self._start = source, spec, detector, start
        self._counter = CameraCounter(LIVE, spec.store, spec.camera)
        self.tally = CountResult(session_of(source, spec.capture, start), detector.model)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the processed frames, pixels."""
        return published_size(*self._source.size, self._spec.capture)

    @property
    def rate(self) -> float:
        """Processed frames per second of the source; a usual rate if the source declares none."""
        rates = [rate for rate in (self._source.fps, self._spec.capture.fps) if rate]
        return min(rates, default=COMMON_FPS)

    def run(self) -> Iterator[CountedFrame]:
        """Process all frames, and update `tally` after each."""
        tally = self.tally
        with closing(ahead(file_frames(self._source, self._spec, session=tally.session, start=self._start))) as frames:
            for frame in frames:
                detections = analyze(frame.header, frame.jpeg, self._detector, self._spec)
                step = self._counter.step(detections, self._spec)
                tally.crossings += step.crossings
                if frame.header.end is None:
                    tally.frames += 1
                    tally.skipped += detections.skipped is not None
                yield CountedFrame(frame, step)
