"""Feeding a run: what was goes into its streams once more, at the speed that is asked for, each camera by itself."""

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
from services.cli.console.errors import Refused
from services.cli.replaying.backpressure import Lead
from services.cli.replaying.history import Past
from services.cli.replaying.lifecycle import put_spec, update_run
from services.cli.replaying.ordered_publish import Appender
from services.cli.replaying.window import AFTER, DetectionsExcerpt, FramesExcerpt
from services.kit.nats.bus import Bus, StreamFull
from services.kit.tasks import cancel_and_wait

FULL_DELAY = 0.02
"""Seconds until a frame is offered again to a full stream: an inference or two."""

See = Callable[[CameraSpec], CameraSpec]
"""A camera's spec as the run sees it."""


class Pace:
    """Lets time pass as it did, so many times as fast; None does not wait. `stop` ends every waiting.

    Until `since` nothing is waited for: that only lets the trackers find who is there.
    """

    def __init__(self, speed: float | None, since: int) -> None:
        self._speed, self._since = speed, since
        self._began: float | None = None
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be fed."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Feed nothing more."""
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
class Fed:
    """What a run was fed with.

    Attributes:
        sessions: of each camera, by (camera, session): each is closed by a row in the database.
        covered: what of them counts.
    """

    sessions: tuple[tuple[str, str], ...]
    covered: tuple[Stretch, ...]


class Feeder:
    """Feeds one run."""

    def __init__(self, bus: Bus, run: Run, past: Past, see: See, *, begin: int, lead: Lead) -> None:
        """Prepare the feeding.

        Args:
            bus: the connection.
            run: its entry stands, and its streams.
            past: where the frames or detections come from.
            see: lays what the run changes over a camera's spec.
            begin: what was captured from then on is fed, ns UTC; before the run's `since`.
            lead: over the trackers.
        """
        self._bus, self._run, self._past, self._see = bus, run, past, see
        self._begin, self._lead = begin, lead
        self._specs: dict[tuple[str, int], CameraSpec] = {}
        self._models = set(run.models)
        self._bucket: KeyValue | None = None
        self.pace = Pace(run.speed, run.since)

    async def detections(self) -> Fed:
        """Feed all cameras' detections, and their ends. Ends early, and in order, once `pace` is stopped.

        Raises:
            Refused: a spec is missing, or the run was dropped meanwhile.
        """
        appender = Appender(self._bus, run_streams(self._run.name).detections)
        excerpts = {one.camera: DetectionsExcerpt(self._run, one.camera, self._begin) for one in self._run.cameras}
        await _together([self._detections_of(appender, *excerpt) for excerpt in excerpts.items()])
        await appender.flush()
        return _fed(excerpts)

    async def frames(self) -> Fed:
        """Feed all cameras' frames, and their ends. Ends early, and in order, once `pace` is stopped.

        Raises:
            Refused: a spec is missing, or the run was dropped meanwhile.
        """
        excerpts = {one.camera: FramesExcerpt(self._run, one.camera, self._begin) for one in self._run.cameras}
        await _together([self._frames_of(*excerpt) for excerpt in excerpts.items()])
        return _fed(excerpts)

    async def _detections_of(self, appender: Appender, camera: str, excerpt: DetectionsExcerpt) -> None:
        last: tuple[Detections, int] | None = None
        async for event, stored_at in self._past.detections(camera, self._begin, self._run.until + AFTER):
            if self.pace.stopped:
                excerpt.stop()
                if excerpt.is_behind(event):
                    break
            if (taken := excerpt.take(event)) is None:
                continue
            await self.pace.until(taken.captured_at)
            await self._lead.room(camera)
            await self._spec(camera, taken.spec_revision)
            await appender.append(_subject(taken), taken.encode(), {STORED_AT: str(stored_at)})
            self._lead.fed(camera, taken.session, taken.seq)
            last = taken, stored_at
        if last is not None:
            # Where the last session has its end, that comes once more, to say that nothing follows.
            end, stored_at = excerpt.end() or last[0], last[1]
            await appender.append(_subject(end), end.encode(), {STORED_AT: str(stored_at), LAST: "yes"})
            self._lead.fed(camera, end.session, end.seq)

    async def _frames_of(self, camera: str, excerpt: FramesExcerpt) -> None:
        async for header, jpeg in self._past.frames(camera, self._begin, self._run.until):
            if self.pace.stopped:
                break
            for taken in excerpt.take(header):
                await self.pace.until(taken.captured_at)
                await self._lead.room(camera)
                await self._keep(taken, b"" if taken.end else jpeg)
        if (end := excerpt.end()) is not None:
            await self._keep(end, b"")

    async def _keep(self, header: FrameHeader, jpeg: bytes) -> None:
        """Queue a frame for the detectors; waits while its camera's queue is full."""
        spec = await self._spec(header.camera, header.spec_revision)
        subject = kept(self._run.name, spec.pool, header.store, header.camera)
        while True:
            try:
                await self._bus.publish(subject, jpeg, headers=header.to_headers())
            except StreamFull:
                await asyncio.sleep(FULL_DELAY)
            else:
                self._lead.fed(header.camera, header.session, header.seq)
                return

    async def _spec(self, camera: str, revision: int) -> CameraSpec:
        """The spec as the run sees it: it is there before any frame names it."""
        key = camera, revision
        if key not in self._specs:
            found = await self._past.spec(camera, revision)
            if found is None:
                raise Refused(f"revision {revision} of camera {camera}'s spec is gone: nobody knows its lines then")
            spec = self._specs[key] = self._see(found)
            if self._bucket is None:
                self._bucket = await self._bus.bucket(RUNS)
            await put_spec(self._bucket, self._run.name, spec)
            if spec.model not in self._models and self._run.kind == "frames":
                token(spec.model)
                self._models.add(spec.model)
                await update_run(self._bus, self._run.model_copy(update={"models": tuple(sorted(self._models))}))
        return self._specs[key]


async def _together(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Do some work side by side; what one raises ends all, and goes up as it is."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)


def _subject(event: Detections) -> str:
    return detections(event.run, event.store, event.camera)


def _fed(excerpts: dict[str, DetectionsExcerpt] | dict[str, FramesExcerpt]) -> Fed:
    return Fed(
        sessions=tuple((camera, session) for camera, excerpt in excerpts.items() for session in excerpt.sessions),
        covered=tuple(stretch for excerpt in excerpts.values() for stretch in excerpt.covered),
    )
