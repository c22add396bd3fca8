"""An hour, or any time, of what detectors see of the simulated door, at several cameras: what a replay is fed with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge

from contracts.events import Detections
from contracts.frames import EndReason
from contracts.spec import CameraSpec
from services.ingest.simulator.trajectories import Spacing, script
from tests.support.detector_errors import MEASURED
from tests.support.seen_door import SPEC, START, detections, present

FPS = 10.0
DETECTOR = "person-detection-0200"


def seen(camera: str, seconds: float, *, people_per_min: float = 20.0, seed: int = 1) -> Iterator[Detections]:
    """The detections of a camera for a time, and their end."""
    walks = script(seed, Spacing.NATURAL, people_per_min, round(people_per_min * (seconds / 60 + 2)))
    frames = detections(present(walks, FPS), MEASURED[DETECTOR], seed=seed, fps=FPS)
    until = START + round(seconds * 1e9)
    last: Detections | None = None
    for frame in frames:
        if frame.captured_at >= until:
            break
        last = frame.model_copy(update={"camera": camera, "store": SPEC.store})
        yield last
    assert last is not None
    end = {"seq": last.seq + 1, "previous": last.seq, "end": EndReason.FINISHED, "boxes": (), "scores": ()}
    yield last.model_copy(update=end)


def side_by_side(cameras: Mapping[str, Iterator[Detections]]) -> Iterator[Detections]:
    """Several cameras' detections by time, as they come in."""
    return merge(*cameras.values(), key=lambda event: event.captured_at)


def spec(camera: str) -> CameraSpec:
    """The spec of one of them."""
    return SPEC.model_copy(update={"camera": camera})
