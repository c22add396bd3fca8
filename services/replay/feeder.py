"""Feeder of a run: publishes stored data to the run's streams at the requested speed, each camera on its own.

The data of a camera are the same at every reading, so a feeder that takes over from one that was killed reads them from
the beginning, and leaves out as many as are stored in the run's stream already. Of detections the stream itself tells
that, by a header of the last ones. Frames leave their stream once they are looked at: their number is in the run's
progress, up to a second late, and those that are fed a second time are dropped by their ids, or by the trackers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import NamedTuple

from nats.js.errors import NotFoundError
from nats.js.kv import KeyValue

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import token
from contracts.runs import FED, LAST, STORED_AT, FedCamera, Run, RunCamera
from contracts.spec import CameraSpec
from contracts.streams import RUNS, run_streams
from contracts.subjects import detections, kept
from services.kit.nats.bus import Bus, StreamFull
from services.kit.nats.run_entries import change_run
from services.kit.tasks import cancel_and_wait
from services.replay.backpressure import Backpressure
from services.replay.errors import RunError
from services.replay.history import HistorySource
from services.replay.lifecycle import put_spec
from services.replay.ordered_publish import OrderedPublisher
from services.replay.window import AFTER, DetectionsWindow, FramesWindow

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


class _Place(NamedTuple):
    """The last message of a camera that is stored in the run's stream: its number, from 1, and its frame."""

    number: int = 0
    session: str = ""
    seq: int = 0
    is_end: bool = False
    """True if the camera's last detections are stored, too."""


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
        fed: Iterable[FedCamera] = (),
    ) -> None:
        """Prepare feeding.

        Args:
            bus: the connection.
            run: its entry and its streams must exist.
            past: source of the frames or detections.
            change_spec: applies the run's changes to a camera's spec.
            begin: captured_at of the first frame to feed, ns UTC; before the run's `since`.
            backpressure: holds feeding back until the trackers have caught up.
            fed: how far an earlier feeder of the run came.
        """
        self._bus, self._run, self._past, self._change_spec = bus, run, past, change_spec
        self._begin, self._backpressure = begin, backpressure
        self._specs: dict[tuple[str, int], CameraSpec] = {}
        self._models = set(run.models)
        self._bucket: KeyValue | None = None
        self._fed = {camera.camera: FedCamera(camera=camera.camera) for camera in run.cameras}
        self._fed |= {camera.camera: camera for camera in fed if camera.camera in self._fed}
        self.clock = ReplayClock(run.speed, run.since)
        self.session_began = asyncio.Event()
        """Set when frames of another session are fed: `fed` should be stored soon, for whoever takes over."""

    @property
    def fed(self) -> tuple[FedCamera, ...]:
        """The part of each camera that is fed, for sure."""
        return tuple(self._fed.values())

    async def feed(self) -> tuple[FedCamera, ...]:
        """Feed all cameras' data and session ends. Ends early, and in order, once `clock` is stopped.

        Returns:
            Each camera's sessions, which are closed by a row in the database each, and the frames that count.

        Raises:
            RunError: a spec is missing, the stored data are not those of the begin any more, or the run was dropped.
            Superseded: another feeder is at work on the run.
        """
        cameras = [camera for camera in self._run.cameras if not self._fed[camera.camera].ended]
        if self._run.kind == "frames":
            await _together([self._frames_of(camera.camera) for camera in cameras])
            return self.fed
        stream = run_streams(self._run.name).detections
        stored = (await self._bus.js.stream_info(stream.name)).state.last_seq
        publisher = OrderedPublisher(self._bus, stream, stored)
        works = [self._detections_of(publisher, camera.camera, await self._stored(camera)) for camera in cameras]
        ended = await _together(works)
        await publisher.flush()
        self._fed |= {camera.camera: camera for camera in ended}
        return self.fed

    async def _stored(self, camera: RunCamera) -> _Place:
        """Return the place of a camera's last detections in the run's stream."""
        subject = detections(self._run.name, camera.store, camera.camera)
        pattern = subject.replace(f".{camera.store}.", ".*.")  # it may have been in another store
        try:
            last = await self._bus.js.get_last_msg(run_streams(self._run.name).detections.name, pattern)
        except NotFoundError:
            return _Place()
        number, session, seq = ((last.headers or {}).get(FED) or "0 - 0").split()
        return _Place(int(number), session, int(seq), is_end=LAST in (last.headers or {}))

    async def _detections_of(self, publisher: OrderedPublisher, camera: str, stored: _Place) -> FedCamera:
        window = DetectionsWindow(self._run, camera, self._begin)
        last: tuple[Detections, int] | None = None
        number = 0
        async for event, stored_at in self._past.detections(camera, self._begin, self._run.until + AFTER):
            if stored.is_end and number >= stored.number:
                break
            if self.clock.stopped and number >= stored.number:
                window.stop()
                if window.is_behind(event):
                    break
            if (taken := window.take(event)) is None:
                continue
            number += 1
            last = taken, stored_at
            if number > stored.number:
                await self.clock.until(taken.captured_at)
                await self._backpressure.room(camera)
                await self._spec(camera, taken.spec_revision)
                place = f"{number} {taken.session} {taken.seq}"
                await publisher.publish(_subject(taken), taken.encode(), {STORED_AT: str(stored_at), FED: place})
            elif number == stored.number:
                self._check_same(camera, stored, taken.session, taken.seq)
            self._backpressure.fed(camera, taken.session, taken.seq)
        self._check_complete(camera, stored.number, number)
        if last is not None:
            # If the last session has its end already, that is repeated with the header LAST.
            (newest, stored_at), place = last, f"{number} {last[0].session} {last[0].seq}"
            end = window.end() or newest
            if not stored.is_end:
                headers = {STORED_AT: str(stored_at), LAST: "yes", FED: place}
                await publisher.publish(_subject(end), end.encode(), headers)
            self._backpressure.fed(camera, end.session, end.seq)
        return self._ended(camera, window)

    async def _frames_of(self, camera: str) -> FedCamera:
        window, stored, number = FramesWindow(self._run, camera, self._begin), self._fed[camera], 0
        async for header, jpeg in self._past.frames(camera, self._begin, self._run.until):
            if self.clock.stopped and number >= stored.number:
                break
            for taken in window.take(header):
                number += 1
                if number > stored.number:
                    await self.clock.until(taken.captured_at)
                    await self._backpressure.room(camera)
                    await self._queue(taken, b"" if taken.end else jpeg, number)
                elif number == stored.number:
                    self._check_same(camera, stored, taken.session, taken.seq)
                self._backpressure.fed(camera, taken.session, taken.seq)
        self._check_complete(camera, stored.number, number)
        if (end := window.end()) is not None:
            await self._queue(end, b"", number)
            self._backpressure.fed(camera, end.session, end.seq)
        fed = self._fed[camera] = self._ended(camera, window)
        return fed

    def _ended(self, camera: str, window: DetectionsWindow | FramesWindow) -> FedCamera:
        ended = {"sessions": tuple(window.sessions), "covered": tuple(window.covered), "ended": True}
        return self._fed[camera].model_copy(update=ended)

    def _check_same(self, camera: str, stored: _Place | FedCamera, session: str, seq: int) -> None:
        if (session, seq) != (stored.session, stored.seq):
            raise _changed(camera)

    def _check_complete(self, camera: str, stored: int, number: int) -> None:
        if number < stored:
            raise _changed(camera)

    async def _queue(self, header: FrameHeader, jpeg: bytes, number: int) -> None:
        """Queue a frame for the detectors, as the camera's `number`th; waits while its camera's queue is full."""
        spec = await self._spec(header.camera, header.spec_revision)
        subject = kept(self._run.name, spec.pool, header.store, header.camera)
        msg_id = f"{self._run.name}/{header.camera}/{header.session}/{header.seq}"
        while True:
            try:
                await self._bus.publish(subject, jpeg, headers=header.to_headers(), msg_id=msg_id)
            except StreamFull:
                await asyncio.sleep(FULL_DELAY)
            else:
                break
        before = self._fed[header.camera]
        fed = FedCamera(camera=header.camera, number=number, session=header.session, seq=header.seq)
        self._fed[header.camera] = fed
        if header.session != before.session:
            self.session_began.set()

    async def _spec(self, camera: str, revision: int) -> CameraSpec:
        """Return a spec with the run's changes. It is stored before the first frame that refers to it."""
        key = camera, revision
        if key not in self._specs:
            original = await self._past.spec(camera, revision)
            if original is None:
                raise RunError(f"revision {revision} of camera {camera}'s spec is missing, and so are its lines")
            spec = self._specs[key] = self._change_spec(original)
            if self._bucket is None:
                self._bucket = await self._bus.bucket(RUNS)
            await put_spec(self._bucket, self._run.name, spec)
            if spec.model not in self._models and self._run.kind == "frames":
                token(spec.model)
                self._models.add(spec.model)
                models = tuple(sorted(self._models))
                await change_run(self._bus, self._run.name, lambda run: run.model_copy(update={"models": models}))
        return self._specs[key]


async def _together(works: Iterable[Coroutine[None, None, FedCamera]]) -> list[FedCamera]:
    """Run coroutines concurrently. An error of one cancels the others, and is raised as it is."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)


def _changed(camera: str) -> RunError:
    return RunError(
        f"the stored data of camera {camera} are not those any more with which the run began: its feeding was "
        "interrupted, and the oldest ones were removed meanwhile; ask for another run"
    )


def _subject(event: Detections) -> str:
    return detections(event.run, event.store, event.camera)
