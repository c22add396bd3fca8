"""Observation of a clip: the counting pipeline, image statistics, and tracks of anything that moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.events import Detections, Path
from contracts.identity import LIVE
from contracts.spec import CameraSpec
from services.cli.console.errors import CommandError
from services.cli.console.progress import ProgressBars
from services.cli.counting.pipeline import CountedFrame, Pipeline
from services.cli.diagnosis.clip import SourceClip
from services.cli.diagnosis.examination import Observation
from services.cli.diagnosis.trajectories import trajectories_of
from services.cli.diagnosis.view import ViewMeter
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.detector.motion.detector import MotionDetector
from services.kit.codec import BrokenFrame, Image, decode
from services.tracker.counting.camera_counter import CameraCounter

MAX_FPS: Final = 10.0
"""Frames per second that suffice to follow walking people."""


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation, and the empty scene to draw it on."""

    observation: Observation
    scene: Image
    frames: int


def observe(source: SourceClip, spec: CameraSpec, detector: Detector, progress: ProgressBars) -> Observed:
    """Process a clip as `metrica count` would, at `MAX_FPS` frames per second or less.

    Args:
        source: freshly opened.
        spec: the camera's; it needs no line.
        detector: of the model that the spec names.
        progress: displays the progress.

    Raises:
        CommandError: the clip has no readable frame.
        SourceError: the source failed.
    """
    fps = min(spec.capture.fps or MAX_FPS, MAX_FPS)
    without_lines = spec.model_copy(update={"lines": (), "capture": spec.capture.model_copy(update={"fps": fps})})
    pipeline = Pipeline(source, without_lines, detector, start=0)
    meter, movement = ViewMeter(), _MovementTracker(without_lines)
    paths: list[Path] = []
    seconds = 0.0
    length = None if source.length is None else round(source.length * pipeline.rate / (source.fps or pipeline.rate))
    for counted in progress.over(pipeline.run(), length=length, what="looking"):
        paths += counted.step.paths
        seconds = counted.frame.header.captured_at / 1e9
        if not detector.stateful:
            movement.add(counted)
        try:
            if counted.frame.jpeg:
                meter.add(decode(counted.frame.jpeg), seconds)
        except BrokenFrame:
            continue  # the tally counts it as skipped
    view = None if pipeline.tally.frames == pipeline.tally.skipped else meter.view()
    if view is None:
        raise CommandError(f"{source.name} has no frame to look at there: take an earlier --from")
    rates = [rate for rate in (source.measured_fps or source.fps, spec.capture.fps) if rate]
    observation = Observation(
        size=pipeline.size,
        seconds=max(seconds, 0.1),
        rate=min(rates, default=pipeline.rate),
        scale=detector.scale(*pipeline.size) if isinstance(detector, OpenVinoDetector) else None,
        view=view,
        walks=trajectories_of((path for path in paths if path.confirmed), 0),
        movers=trajectories_of((path for path in movement.paths if path.confirmed), 0),
    )
    return Observed(observation, meter.scene(), pipeline.tally.frames)


class _MovementTracker:
    """Tracks anything that moves, to find people that the model does not detect."""

    def __init__(self, spec: CameraSpec) -> None:
        self._spec = spec
        self._detector = MotionDetector()
        self._counter = CameraCounter(LIVE, spec.store, spec.camera)
        self.paths: list[Path] = []

    def add(self, counted: CountedFrame) -> None:
        frame = counted.frame
        detections: Detections = analyze(frame.header, frame.jpeg, self._detector, self._spec)
        self.paths += self._counter.step(detections, self._spec).paths
