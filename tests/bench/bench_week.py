"""A simulated week of one camera in one session: `python -m tests.bench.bench_week [--days 7]`.

Six million frames at 10 a second. A shop is open for twelve hours a day, and somebody comes every minute, seen by a
detector that errs as the default one does on footage. Prints at times what the counter holds (its pickle: that is
all it refers to), its state as a checkpoint has it, what the process holds, the counts beside the truth, and the time
that a frame takes.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil

from services.ingest.simulator.trajectories import PersonWalk, Spacing, script
from services.tracker.counting.camera_counter import CameraCounter
from tests.support.detector_errors import MEASURED
from tests.support.seen_door import SPEC, detections, present

FPS = 10.0
HOUR, DAY = 3600.0, 86_400.0
OPEN = 12 * HOUR
REPORT = 6 * HOUR
PEOPLE_PER_MIN = 1.0


def visitors(days: int) -> Iterator[PersonWalk]:
    """Everybody who comes, while the shop is open; `present` wants them in order."""
    number = 0
    for day in range(days):
        for walk in script(day, Spacing.NATURAL, PEOPLE_PER_MIN, None):
            if walk.begin > OPEN:
                break
            yield replace(walk, number=number, begin=walk.begin + day * DAY)
            number += 1


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description="A simulated week of one camera.")
    parser.add_argument("--days", type=int, default=7)
    days: int = parser.parse_args().days
    truth = [crossing.at_ns / 1e9 for walk in visitors(days) for crossing in walk.crossings()]
    process, counter = psutil.Process(), CameraCounter("live", SPEC.store, SPEC.camera)
    counted, used, stepped, due = 0, 0.0, 0, REPORT
    print("   hour   frames  holds KB  state KB  objects  RSS MB  counted  truth  µs a frame", flush=True)
    people = present(visitors(days), FPS)
    for frame in detections(people, MEASURED["person-detection-0200"], seed=0, fps=FPS):
        before = time.thread_time()
        counted += len(counter.step(frame, SPEC).crossings)
        used += time.thread_time() - before
        stepped += 1
        if (now := frame.seq / FPS) >= due:
            due += REPORT
            gc.collect()
            holds, state = len(pickle.dumps(counter)) / 1e3, len(counter.state().model_dump_json()) / 1e3
            objects, resident = len(gc.get_objects()), process.memory_info().rss / 1e6
            true = sum(at <= now for at in truth)
            print(
                f"{now / HOUR:7.0f} {frame.seq + 1:8} {holds:9.1f} {state:9.1f} {objects:8} {resident:7.1f}"
                f" {counted:8} {true:6} {used / stepped * 1e6:11.0f}",
                flush=True,
            )
            used, stepped = 0.0, 0


if __name__ == "__main__":
    main()
