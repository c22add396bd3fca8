"""Live cameras over streets whose truth is known, and what must hold of their counts whatever was lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from contracts.events import Detections
from services.api.configuration import CameraSetup
from services.kit.codec import Image
from tests.faults.mischief import Mischief
from tests.support.http_camera import http_camera
from tests.support.lanes import LANES, LINE, MODEL, Walker, picture, walkers
from tests.support.record import Row
from tests.support.scene import STORE

FPS = 10.0
LONGEST = 300.0
NEAR = 1.7
"""Seconds between a counted crossing and the true one, at most. In one lane they are twice as far apart, and more."""
OLDEST = 10.0
"""Seconds that a frame is kept for detectors: older ones are looked at by nobody."""
RECOVERY = 15.0
"""Seconds without a frame that a camera may take when everybody is there again: leases have expired and processes have
started, on a machine that has other things to do."""


@dataclass(frozen=True, slots=True)
class Street:
    """A live camera, and who walks before it: times are seconds after `began` (seconds since the epoch)."""

    camera: CameraSetup
    truth: Sequence[Walker]
    began: float

    def assert_nobody_counted_twice(self, rows: Sequence[Row]) -> None:
        """Each crossing is somebody's who crossed there and then, and no two are the same one's."""
        counted: Counter[Walker] = Counter()
        for row in rows:
            _, _, direction, seq, at_ns, place = row
            at, lane = at_ns / 1e9 - self.began, int(place * LANES)
            who = min((one for one in self.truth if one.lane == lane), key=lambda one: abs(one.crosses - at))
            told = f"{self.camera.camera}, seq {seq}: {direction} on lane {lane} at {at:.2f} s"
            assert abs(who.crosses - at) < NEAR, f"{told}, where nobody crossed; the nearest was {who}"
            assert direction == who.direction, f"{told}, but it was {who}"
            counted[who] += 1
            assert counted[who] == 1, f"{told}: {who} was counted before"

    def assert_flowed(self, frames: Sequence[tuple[Detections, float]], mischief: Mischief) -> None:
        """Of frames and when they were answered (seconds since the epoch): none came late, and no pause was long."""
        name = self.camera.camera
        for event, answered in frames:
            age = mischief.calm(event.captured_at / 1e9, answered)
            assert age < OLDEST, f"{name}, seq {event.seq}, was looked at when it was {age:.1f} s old"
        times = sorted(event.captured_at / 1e9 for event, _ in frames)
        for before, after in pairwise(times):
            pause = mischief.calm(before, after)
            assert pause < RECOVERY, f"{name} had no frame for {pause:.1f} s from {before - mischief.began:.1f} s on"


@contextmanager
def streets(number: int) -> Iterator[list[Street]]:
    """So many cameras that can be reached until the context is left."""
    began = time.time()
    with ExitStack() as stack:
        found = []
        for seed in range(1, number + 1):
            truth = walkers(seed, LONGEST)

            def now(truth: Sequence[Walker], number: int) -> Image:
                del number  # who calls later, or again, sees what is there by then
                return picture(truth, time.time() - began)

            address = stack.enter_context(http_camera(fps=FPS, picture=partial(now, truth)))
            camera = CameraSetup(camera=f"street-{seed}", store=STORE, address=address, model=MODEL, lines=(LINE,))
            found.append(Street(camera, truth, began))
        yield found
