"""How far the trackers are in what a run is fed with: it is not fed further ahead of them than so many frames.

They say so in their checkpoints. What is ahead waits in the run's stream; the bound keeps that small, and lets a run
that is interrupted end soon.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from contracts.checkpoints import checkpoint_key
from contracts.identity import partition
from contracts.runs import Run
from contracts.streams import CHECKPOINTS
from services.kit.nats.bus import Bus
from services.tracker.checkpoint import Checkpoint
from services.tracker.ordering import OrderState

MOST, MOST_OF_ALL = 20_000, 400_000
"""Frames of a camera, and of all: what the run's stream has room for."""
STUCK = 30.0
"""Seconds after which a camera gets another frame even so: its tracker may wait for the stream's clock to go on."""
LOOK_EVERY = 0.25


@dataclass(slots=True)
class _Fed:
    """What of a camera was fed, and how far the tracker is in it."""

    sessions: dict[str, int] = field(default_factory=dict)
    """Frames of each session, the newest last."""
    newest_seq: int = 0
    behind: int = 0
    at: int = 0
    """captured_at of the last frame that was tracked, as far as is known; ns UTC."""


class Lead:
    """Keeps a run's feeding within reach of its trackers; `follow` must run meanwhile."""

    def __init__(self, bus: Bus, run: Run) -> None:
        self._bus, self._run = bus, run
        self._fed = {one.camera: _Fed() for one in run.cameras}
        self._most = min(MOST, MOST_OF_ALL // len(run.cameras))
        self._looked = asyncio.Event()

    def fed(self, camera: str, session: str, seq: int) -> None:
        """Note a frame that was fed."""
        fed = self._fed[camera]
        fed.newest_seq = seq if session not in fed.sessions else max(seq, fed.newest_seq)
        fed.sessions[session] = fed.sessions.get(session, 0) + 1
        fed.behind += 1

    async def room(self, camera: str) -> None:
        """Wait until the camera may be fed with more."""
        fed = self._fed[camera]
        if fed.behind < self._most:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(STUCK):
                while fed.behind >= self._most:
                    self._looked.clear()
                    await self._looked.wait()

    @property
    def tracked_at(self) -> dict[str, int]:
        """How far each camera's people were followed: captured_at, ns UTC; 0 before the beginning."""
        return {camera: fed.at for camera, fed in self._fed.items()}

    async def follow(self) -> None:
        """Look at the checkpoints for ever."""
        bucket = await self._bus.bucket(CHECKPOINTS)
        while True:
            for camera, fed in self._fed.items():
                await self._look(bucket, camera, fed)
            self._looked.set()
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self, bucket: KeyValue, camera: str, fed: _Fed) -> None:
        try:
            entry = await bucket.get(checkpoint_key(self._run.name, partition(camera), camera))
        except KeyNotFoundError:
            return
        except (NatsError, TimeoutError, OSError):
            return  # it is looked again
        checkpoint = Checkpoint.model_validate_json(entry.value or b"")
        fed.behind = _behind(fed, checkpoint.order)
        fed.at = max(fed.at, checkpoint.order.last.captured_at if checkpoint.order.last else 0)


def _behind(fed: _Fed, order: OrderState) -> int:
    """How many frames, about, the tracker has before it."""
    behind = 0
    for number, (session, frames) in enumerate(reversed(fed.sessions.items())):
        if session in order.ended:
            break
        if order.last is not None and session == order.session:
            return behind + (max(0, fed.newest_seq - order.last.seq) if number == 0 else 0)
        behind += frames
    return behind
