"""Backpressure for replays: limits the number of frames by which the feeder runs ahead of the trackers.

The trackers' progress is read from their checkpoints. Frames that are ahead wait in the run's stream; the limit keeps
it small, and lets an interrupted run end soon.
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
from services.tracker.ordering import OrderState
from services.tracker.state import Checkpoint

MAX_AHEAD, MAX_AHEAD_IN_ALL = 20_000, 400_000
"""Frames ahead, of a camera and of all cameras: as many as the run's stream has room for."""
STUCK_TIMEOUT = 30.0
"""Seconds after which a camera is fed one more frame regardless: its tracker may wait for later frames to arrive."""
POLL_INTERVAL = 0.25


@dataclass(slots=True)
class _CameraProgress:
    """The frames of a camera that were fed, and the tracker's progress in them."""

    sessions: dict[str, int] = field(default_factory=dict)
    """Number of frames of each session, the newest last."""
    newest_seq: int = 0
    behind: int = 0
    at: int = 0
    """captured_at of the last frame that is known to be tracked, ns UTC."""


class Backpressure:
    """Holds a run's feeder back until the trackers have caught up. `follow` must run at the same time."""

    def __init__(self, bus: Bus, run: Run) -> None:
        self._bus, self._run = bus, run
        self._progress = {camera.camera: _CameraProgress() for camera in run.cameras}
        self._limit = min(MAX_AHEAD, MAX_AHEAD_IN_ALL // len(run.cameras))
        self._polled = asyncio.Event()

    def fed(self, camera: str, session: str, seq: int) -> None:
        """Record a frame that was fed."""
        progress = self._progress[camera]
        progress.newest_seq = seq if session not in progress.sessions else max(seq, progress.newest_seq)
        progress.sessions[session] = progress.sessions.get(session, 0) + 1
        progress.behind += 1

    async def room(self, camera: str) -> None:
        """Wait until the camera may be fed another frame."""
        progress = self._progress[camera]
        if progress.behind < self._limit:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(STUCK_TIMEOUT):
                while progress.behind >= self._limit:
                    self._polled.clear()
                    await self._polled.wait()

    @property
    def tracked_at(self) -> dict[str, int]:
        """captured_at of each camera's last tracked frame, ns UTC; 0 before the first."""
        return {camera: progress.at for camera, progress in self._progress.items()}

    async def follow(self) -> None:
        """Poll the checkpoints for ever."""
        bucket = await self._bus.bucket(CHECKPOINTS)
        while True:
            for camera, progress in self._progress.items():
                await self._poll(bucket, camera, progress)
            self._polled.set()
            await asyncio.sleep(POLL_INTERVAL)

    async def _poll(self, bucket: KeyValue, camera: str, progress: _CameraProgress) -> None:
        try:
            entry = await bucket.get(checkpoint_key(self._run.name, partition(camera), camera))
        except KeyNotFoundError:
            return
        except (NatsError, TimeoutError, OSError):
            return  # the next poll tries again
        checkpoint = Checkpoint.model_validate_json(entry.value or b"")
        progress.behind = _behind(progress, checkpoint.order)
        progress.at = max(progress.at, checkpoint.order.last.captured_at if checkpoint.order.last else 0)


def _behind(progress: _CameraProgress, order: OrderState) -> int:
    """Estimate the number of frames that the tracker has still to process."""
    behind = 0
    for number, (session, frames) in enumerate(reversed(progress.sessions.items())):
        if session in order.ended:
            break
        if order.last is not None and session == order.session:
            return behind + (max(0, progress.newest_seq - order.last.seq) if number == 0 else 0)
        behind += frames
    return behind
