"""An hour of a shop: what a camera's counter holds does not grow with time. `tests.bench.bench_week` does a week."""

from __future__ import annotations

import gc
import itertools
import pickle
import sys

from services.ingest.simulator.trajectories import Spacing, script
from services.tracker.counting.camera_counter import CameraCounter
from tests.support.detector_errors import MEASURED
from tests.support.seen_door import SPEC, detections, present

FPS = 10.0
HOUR = 3600.0


def test_an_hour_of_people_who_come_and_go_leaves_nothing_behind() -> None:
    """Whenever nobody has been there for a while, the counter is as small as it was before the first came."""
    walks = list(itertools.takewhile(lambda walk: walk.begin < HOUR, script(3, Spacing.NATURAL, 1.0, None)))
    counter = CameraCounter("live", SPEC.store, SPEC.camera)
    counted, held, blocks = 0, list[int](), list[int]()
    for frame in detections(present(walks, FPS), MEASURED["yolox_nano"], seed=3, fps=FPS):
        counted += len(counter.step(frame, SPEC).crossings)
        if frame.seq % 100 == 0 and not (state := counter.state()).tracker.tracks:
            assert not state.traces
            assert not any(line.passages or line.waiting for line in state.lines)
            held.append(len(pickle.dumps(counter)))
            if frame.seq // (HOUR * FPS / 4) > len(blocks):
                gc.collect()
                blocks.append(sys.getallocatedblocks())

    true = sum(len(walk.crossings()) for walk in walks)
    print(f"{frame.seq + 1} frames, {counted} of {true} counted, {held[0]} … {max(held)} bytes held")
    assert frame.seq > 0.95 * HOUR * FPS
    assert abs(counted - true) <= 0.03 * true
    # Numbers grow by a digit; nothing else may. Beside it grows the list of this test.
    assert max(held) <= held[0] + 64
    assert blocks[-1] - blocks[0] < 1000, "the counter's frames leave something behind elsewhere"
