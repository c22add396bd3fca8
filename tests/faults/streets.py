"""Live cameras over streets whose truth is known, and what must hold of their counts whatever was lost."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import asyncpg
from nats.js import JetStreamContext

from contracts.events import Detections
from contracts.identity import LIVE, to_ns
from contracts.streams import DETECTIONS
from contracts.subjects import ROOT, Kind
from infra.local.stack import Stack
from services.api.cameras.setup import CameraSetup
from services.kit.codec import Image
from tests.faults.mischief import Mischief
from tests.support.broker import jetstream
from tests.support.http_camera import http_camera
from tests.support.lanes import LANE, LANES, LINE, MODEL, Walker, name_of, picture, walkers
from tests.support.scene import STORE

FPS = 10.0
LONGEST = 300.0
OLDEST = 10.0
"""Seconds that a frame is kept for detectors: older ones are looked at by nobody."""
RECOVERY = 15.0
"""Seconds without a frame that a camera may take when everybody is there again: leases have expired and processes have
started, on a machine that has other things to do."""

_CROSSINGS = "SELECT session, seq, direction, at_ns, place FROM crossing WHERE camera = $1 ORDER BY at_ns"


@dataclass(frozen=True, slots=True)
class Answered:
    """A frame that a detector has looked at, and when that was stored, seconds since the epoch."""

    event: Detections
    at: float


@dataclass(frozen=True, slots=True)
class Street:
    """A live camera, and who walks before it: times are seconds after `began` (seconds since the epoch)."""

    camera: CameraSetup
    truth: Sequence[Walker]
    began: float

    async def assert_nobody_counted_twice(self, stack: Stack) -> None:
        """Each crossing is that of somebody who crossed that way, and no two are the same one's."""
        connection = await asyncpg.connect(stack.database_url)
        rows = await connection.fetch(_CROSSINGS, self.camera.camera)
        await connection.close()
        async with jetstream(stack) as js:  # after the crossings: they are of frames that are there then
            frames = (await answered(js))[self.camera.camera]
        counted: Counter[Walker] = Counter()
        for session, seq, direction, at_ns, place in rows:
            told = f"{self.camera.camera}, session {session}, seq {seq}: {direction}, place {place:.2f}"
            who = self._who(frames, session, at_ns, lane=int(place * LANES))
            assert direction == who.direction, f"{told}, but it was {who}"
            counted[who] += 1
            assert counted[who] == 1, f"{told}: {who} was counted before"

    def _who(self, frames: Sequence[Answered], session: str, at_ns: int, lane: int) -> Walker:
        """The people on a lane when it was last looked at before a moment: the picture names them."""
        seen = [
            (event.captured_at, name_of(score))
            for event in (one.event for one in frames)
            for (_, top, _, bottom), score in zip(event.boxes, event.scores, strict=True)
            if event.session == session and event.captured_at <= at_ns and (top + bottom) / 2 // LANE == lane
        ]
        assert seen, f"{self.camera.camera}: nobody was seen on lane {lane} who could have crossed at {at_ns}"
        captured_at, name = max(seen)
        at = captured_at / 1e9 - self.began
        namesakes = (one for one in self.truth if (one.lane, one.name) == (lane, name))
        return min(namesakes, key=lambda one: abs(one.crosses - at))

    def assert_flowed(self, frames: Sequence[Answered], mischief: Mischief) -> None:
        """No frame was looked at late, and no pause between two was long."""
        name = self.camera.camera
        for one in frames:
            age = mischief.calm(one.event.captured_at / 1e9, one.at)
            assert age < OLDEST, f"{name}, seq {one.event.seq}, was looked at when it was {age:.1f} s old"
        times = sorted(one.event.captured_at / 1e9 for one in frames)
        for before, after in pairwise(times):
            pause = mischief.calm(before, after)
            assert pause < RECOVERY, f"{name} had no frame for {pause:.1f} s from {before - mischief.began:.1f} s on"


async def answered(js: JetStreamContext) -> dict[str, list[Answered]]:
    """All frames that detectors have looked at, by camera."""
    found: dict[str, list[Answered]] = defaultdict(list)
    last = (await js.stream_info(DETECTIONS.name)).state.last_seq
    everything = f"{ROOT}.{LIVE}.{Kind.DETECTIONS}.>"
    subscription = await js.subscribe(everything, stream=DETECTIONS.name, ordered_consumer=True)
    async for msg in subscription.messages:
        event = Detections.model_validate_json(msg.data)
        if event.end is None:
            found[event.camera].append(Answered(event, to_ns(msg.metadata.timestamp) / 1e9))
        if msg.metadata.sequence.stream >= last:
            break
    return found


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
