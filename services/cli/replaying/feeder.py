"""Feeder of a run: publishes stored data to the run's streams at the requested speed, each camera on its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass

from nats.js.kv import KeyValue

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import token
from contracts.runs import LAST, STORED_AT, Run, Stretch
from contracts.spec import CameraSpec
from contracts.streams import RUNS, run_streams
from contracts.subjects import detections, kept
from services.cli.console.errors import CommandError
from services.cli.replaying.backpressure import Backpressure
from services.cli.replaying.history import HistorySource
from services.cli.replaying.lifecycle import put_spec, update_run
from services.cli.replaying.ordered_publish import OrderedPublisher
from services.cli.replaying.window import AFTER, DetectionsWindow, FramesWindow
from services.kit.nats.bus import Bus, StreamFull
from services.kit.tasks import cancel_and_wait

FULL_DELAY = 0.02
"""Seconds until a frame is offered again to a full stream: about as long as an inference or two."""

SpecChange = Callable[[CameraSpec], CameraSpec]
"""Applies a run's changes to a camera's spec."""


class ReplayClock:
    """Waits between frames as in the original, at a multiple of its speed; None does not wait. `stop` ends all waits.

    Frames before `since` do not wait: they only let the trackers find the people in view.
    """

    def __init__(self, speed: float | None, since: int) -> None:
        self._speed, self._since = speed, since
        self._began: float | None = None
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """True once feeding is to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End feeding."""
        self._stopped.set()

    async def until(self, captured_at: int) -> None:
        """Wait until a frame is due."""
        if self._speed is None or captured_at < self._since:
            return
        now = time.monotonic()
        if self._began is None:
            self._began = now
        left = self._began + (captured_at - self._since) / 1e9 / self._speed - now
        if left > 0:
            try:
                async with asyncio.timeout(left):
                    await self._stopped.wait()
            except TimeoutError:
                return


@dataclass(frozen=True, slots=True)
class FedSessions:
    """The sessions that a run was fed with.

    Attributes:
        sessions: (camera, session) of each. A row in the database closes each of them.
        covered: the frames of them that count.
    """

    sessions: tuple[tuple[str, str], ...]
    covered: tuple[Stretch, ...]


class Feeder:
    """Feeds one run."""

    def __init__(
        self,
        bus: Bus,
        run: Run,
        past: HistorySource,
        change_spec: SpecChange,
        *,
        begin: int,
        backpressure: Backpressure,
    ) -> None:
        """Prepare feeding.

        Args:
            bus: the connection.
            run: its entry and its streams must exist.
            past: source of the frames or detections.
            change_spec: applies the run's changes to a camera's spec.
            begin: captured_at of the first frame to feed, ns UTC; before the run's `since`.
            backpressure: holds feeding back until the trackers have caught up.
        """
        self._bus, self._run, self._past, self._change_spec = bus, run, past, change_spec
        self._begin, self._backpressure = begin, backpressure
        self._specs: dict[tuple[str, int], CameraSpec] = {}
        self._models = set(run.models)
        self._bucket: KeyValue | None = None
        self.clock = ReplayClock(run.speed, run.since)

    async def detections(self) -> FedSessions:
        """Feed all cameras' detections and session ends. Ends early, and in order, once `clock` is stopped.

        Raises:
            CommandError: a spec is missing, or the run was dropped meanwhile.
        """
        publisher = OrderedPublisher(self._bus, run_streams(self._run.name).detections)
        cameras = [camera.camera for camera in self._run.cameras]
        windows = {camera: DetectionsWindow(self._run, camera, self._begin) for camera in cameras}
        await _together([self._detections_of(publisher, *window) for window in windows.items()])
        await publisher.flush()
        return _fed(windows)

    async def frames(self) -> FedSessions:
        """Feed all cameras' frames and session ends. Ends early, and in order, once `clock` is stopped.

        Raises:
            CommandError: a spec is missing, or the run was dropped meanwhile.
        """
        cameras = [camera.camera for camera in self._run.cameras]
        windows = {camera: FramesWindow(self._run, camera, self._begin) for camera in cameras}
        await _together([self._frames_of(*window) for window in windows.items()])
        return _fed(windows)

    async def _detections_of(self, publisher: OrderedPublisher, camera: str, window: DetectionsWindow) -> None:
        last: tuple[Detections, int] | None = None
        async for event, stored_at in self._past.detections(camera, self._begin, self._run.until + AFTER):
            if self.clock.stopped:
                window.stop()
                if window.is_behind(event):
                    break
            if (taken := window.take(event)) is None:
                continue
            await self.clock.until(taken.captured_at)
            await self._backpressure.room(camera)
            await self._spec(camera, taken.spec_revision)
            await publisher.publish(_subject(taken), taken.encode(), {STORED_AT: str(stored_at)})
            self._backpressure.fed(camera, taken.session, taken.seq)
            last = taken, stored_at
        if last is not None:
            # If the last session has its end already, that is repeated with the header LAST.
            end, stored_at = window.end() or last[0], last[1]
            await publisher.publish(_subject(end), end.encode(), {STORED_AT: str(stored_at), LAST: "yes"})
            self._backpressure.fed(camera, end.session, end.seq)

    async def _frames_of(self, camera: str, window: FramesWindow) -> None:
        async for header, jpeg in self._past.frames(camera, self._begin, self._run.until):
            if self.clock.stopped:
                break
            for taken in window.take(header):
                await self.clock.until(taken.captured_at)
                await self._backpressure.room(camera)
                await self._queue(taken, b"" if taken.end else jpeg)
        if (end := window.end()) is not None:
            await self._queue(end, b"")

    async def _queue(self, header: FrameHeader, jpeg: bytes) -> None:
        """Queue a frame for the detectors; waits while its camera's queue is full."""
        spec = await self._spec(header.camera, header.spec_revision)
        subject = kept(self._run.name, spec.pool, header.store, header.camera)
        while True:
            try:
                await self._bus.publish(subject, jpeg, headers=header.to_headers())
            except StreamFull:
                await asyncio.sleep(FULL_DELAY)
            else:
                self._backpressure.fed(header.camera, header.session, header.seq)
                return

    async def _spec(self, camera: str, revision: int) -> CameraSpec:
        """Return a spec with the run's changes. It is stored before the first frame that refers to it."""
        key = camera, revision
        if key not in self._specs:
            original = await self._past.spec(camera, revision)
            if original is None:
                raise CommandError(f"revision {revision} of camera {camera}'s spec is missing, and so are its lines")
            spec = self._specs[key] = self._change_spec(original)
            if self._bucket is None:
                self._bucket = await self._bus.bucket(RUNS)
            await put_spec(self._bucket, self._run.name, spec)
            if spec.model not in self._models and self._run.kind == "frames":
                token(spec.model)
                self._models.add(spec.model)
                await update_run(self._bus, self._run.model_copy(update={"models": tuple(sorted(self._models))}))
        return self._specs[key]


async def _together(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Run coroutines concurrently. An error of one cancels the others, and is raised as it is."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)


def _subject(event: Detections) -> str:
    return detections(event.run, event.store, event.camera)


def _fed(windows: dict[str, DetectionsWindow] | dict[str, FramesWindow]) -> FedSessions:
    return FedSessions(
        sessions=tuple((camera, session) for camera, window in windows.items() for session in window.sessions),
        covered=tuple(stretch for window in windows.values() for stretch in window.covered),
    )
