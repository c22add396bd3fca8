"""Looks at a stretch of a source: the counting pipeline, a meter on its pictures, and whatever moves in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.events import Detections, Path
from contracts.identity import LIVE
from contracts.spec import CameraSpec
from services.cli.console.errors import Refused
from services.cli.console.progress import Progress
from services.cli.counting.pipeline import Looked, Pipeline
from services.cli.diagnosis.clip import Stretch
from services.cli.diagnosis.examination import Observation
from services.cli.diagnosis.trajectories import walks_of
from services.cli.diagnosis.view import ViewMeter
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.detector.motion.detector import MotionDetector
from services.kit.codec import BrokenFrame, Image, decode
from services.tracker.counting.camera_counter import CameraCounter

MOST_FPS: Final = 10.0
"""Frames per second that tell enough of how people walk."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen, and the empty scene to draw it on."""

    observation: Observation
    scene: Image
    frames: int


def observe(source: Stretch, spec: CameraSpec, detector: Detector, progress: Progress) -> Observed:
    """Look at a stretch as `metrica count` would, at no more than `MOST_FPS` frames a second.

    Args:
        source: freshly opened.
        spec: the camera's; it needs no line.
        detector: of the model that the spec names.
        progress: shows how far it is.

    Raises:
        Refused: the stretch has no frame that can be read.
        SourceError: the source broke.
    """
    fps = min(spec.capture.fps or MOST_FPS, MOST_FPS)
    looking = spec.model_copy(update={"lines": (), "capture": spec.capture.model_copy(update={"fps": fps})})
    pipeline = Pipeline(source, looking, detector, start=0)
    meter, movement = ViewMeter(), _Movement(looking)
    paths: list[Path] = []
    seconds = 0.0
    length = None if source.length is None else round(source.length * pipeline.rate / (source.fps or pipeline.rate))
    for looked in progress.over(pipeline.run(), length=length, what="looking"):
        paths += looked.step.paths
        seconds = looked.frame.header.captured_at / 1e9
        if not detector.stateful:
            movement.see(looked)
        try:
            if looked.frame.jpeg:
                meter.see(decode(looked.frame.jpeg), seconds)
        except BrokenFrame:
            continue  # the tally counts it as skipped
    view = None if pipeline.tally.frames == pipeline.tally.skipped else meter.view()
    if view is None:
        raise Refused(f"{source.name} has no frame to look at there: take an earlier --from")
    rates = [rate for rate in (source.measured_fps or source.fps, spec.capture.fps) if rate]
    observation = Observation(
        size=pipeline.size,
        seconds=max(seconds, 0.1),
        rate=min(rates, default=pipeline.rate),
        scale=detector.scale(*pipeline.size) if isinstance(detector, OpenVinoDetector) else None,
        view=view,
        walks=walks_of((path for path in paths if path.confirmed), 0),
        movers=walks_of((path for path in movement.paths if path.confirmed), 0),
    )
    return Observed(observation, meter.scene(), pipeline.tally.frames)


class _Movement:
    """Tracks whatever moves, to know of people whom the model does not see."""

    def __init__(self, spec: CameraSpec) -> None:
        self._spec = spec
        self._detector = MotionDetector()
        self._counter = CameraCounter(LIVE, spec.store, spec.camera)
        self.paths: list[Path] = []

    def see(self, looked: Looked) -> None:
        frame = looked.frame
        found: Detections = analyze(frame.header, frame.jpeg, self._detector, self._spec)
        self.paths += self._counter.step(found, self._spec).paths
