"""Backpressure for replays: limits the number of frames by which the feeder runs ahead of the trackers.

The trackers tell their progress by events, of which the run's stream keeps the last of each camera. Frames that are
ahead wait in the run's stream; the limit keeps it small, and lets a stopped run end soon.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from contracts.events import TrackingProgress
from contracts.runs import Run
from contracts.streams import run_streams
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.subscribers import jetstream_subscriber

MAX_AHEAD, MAX_AHEAD_IN_ALL = 20_000, 400_000
"""Frames ahead, of a camera and of all cameras: as many as the run's stream has room for."""
STUCK_TIMEOUT = 30.0
"""Seconds after which a camera is fed one more frame regardless: its tracker may wait for later frames to arrive."""

log = logger()


@dataclass(slots=True)
class _CameraProgress:
    """The frames of a camera that were fed, and the tracker's progress in them."""

    sessions: dict[str, int] = field(default_factory=dict)
    """Number of frames of each session, the newest last."""
    newest_seq: int = 0
    behind: int = 0
    tracked: TrackingProgress | None = None
    at: int = 0
    """captured_at of the last frame that is known to be tracked, ns UTC."""

    def count(self) -> None:
        """Count the frames that the tracker has still to process."""
        if self.tracked is not None:
            self.behind = _behind(self, self.tracked)


class Backpressure:
    """Holds a run's feeder back until the trackers have caught up. `follow` must run at the same time."""

    def __init__(self, bus: Bus, run: Run) -> None:
        self._bus, self._run = bus, run
        self._progress = {camera.camera: _CameraProgress() for camera in run.cameras}
        self._limit = min(MAX_AHEAD, MAX_AHEAD_IN_ALL // len(run.cameras))
        self._told = asyncio.Event()

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
        progress.count()  # after a take-over, the tracker may have told its progress before these frames were known
        with suppress(TimeoutError):
            async with asyncio.timeout(STUCK_TIMEOUT):
                while progress.behind >= self._limit:
                    self._told.clear()
                    await self._told.wait()

    @property
    def tracked_at(self) -> dict[str, int]:
        """captured_at of each camera's last tracked frame, ns UTC; 0 before the first."""
        return {camera: progress.at for camera, progress in self._progress.items()}

    async def follow(self) -> None:
        """Read the trackers' progress for ever."""
        stream = run_streams(self._run.name).progress
        config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=stream.subjects[0])
        subscriber = jetstream_subscriber(self._bus.broker, stream)

        @subscriber
        async def take(messages: list[Msg]) -> None:
            for msg in messages:
                self._take(msg.data)

        async with subscriber, OrderedConsumer(self._bus, stream.name, config) as consumer:
            while True:
                await subscriber.deliver(await consumer.batch(len(self._run.cameras)))

    def _take(self, data: bytes) -> None:
        try:
            event = TrackingProgress.model_validate_json(data)
        except ValidationError as error:
            log.warning("a tracker's progress cannot be read", run=self._run.name, error=str(error))
            return
        if (progress := self._progress.get(event.camera)) is not None:
            progress.tracked = event
            progress.at = max(progress.at, event.captured_at or 0)
            progress.count()
            self._told.set()


def _behind(progress: _CameraProgress, tracked: TrackingProgress) -> int:
    """Estimate the number of frames that the tracker has still to process."""
    behind = 0
    for number, (session, frames) in enumerate(reversed(progress.sessions.items())):
        if session in tracked.ended:
            break
        if tracked.seq is not None and session == tracked.session:
            return behind + (max(0, progress.newest_seq - tracked.seq) if number == 0 else 0)
        behind += frames
    return behind
