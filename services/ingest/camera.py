"""One camera's work: open its source, publish its frames, and come back when it breaks. It touches no other camera."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from uuid import uuid4

from contracts.events import State
from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec, Source
from services.ingest.file_sessions import FileSessions
from services.ingest.progress import Progress, ProgressStore
from services.ingest.publishing import Publisher
from services.ingest.requeue import Stranded, discard, find_stranded
from services.ingest.session import Frame, file_frames
from services.ingest.settings import IngestSettings
from services.ingest.source import FrameSource, SourceClosed, SourceLost, SourceRefused, kept
from services.ingest.sources.dating import WallClock
from services.ingest.sources.opening import open_source
from services.ingest.status import Reporter
from services.ingest.threads import in_thread
from services.kit.codec import Encoded, encode
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.lease import Lease
from services.kit.tasks import cancel_and_wait
from services.kit.vault import CannotOpen

FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
"""Seconds until a lost camera is tried again, doubling, each time with a jitter of a half."""
SAVE_EVERY = 1.0
STEADY = 60.0
"""A connection that held this long makes the next retry a first one."""
LEAVE_TIMEOUT = 1.0
"""Seconds that leaving may take where the broker is away."""
ABANDONED = 1_000_000_000
"""The seq of an end that ingest puts after a session which it left long ago: past any frame of it."""

log = logger()


class CameraWorker:
    """Publishes one camera's frames until cancelled. `update` takes a new spec that needs no new connection."""

    def __init__(
        self,
        bus: Bus,
        progress: ProgressStore,
        settings: IngestSettings,
        spec: CameraSpec,
        source: Source,
        lease: Lease | None = None,
    ) -> None:
        """Prepare the work; without a lease nobody else works on the camera."""
        self._bus, self._progress, self._settings, self._source = bus, progress, settings, source
        self._spec, self._lease = spec, lease
        self._publisher = Publisher(bus, spec.camera)
        self._report = Reporter(bus, spec.store, spec.camera, self._publisher)

    def update(self, spec: CameraSpec) -> None:
        """Stamp the coming frames with a new revision."""
        self._spec = spec

    async def run(self) -> None:
        """Work until cancelled."""
        with bound_contextvars(camera=self._spec.camera):
            try:
                await self._keep_trying()
            finally:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_TIMEOUT):
                        await self._report.say(State.STOPPED)
                        await self._publisher.close()

    async def _keep_trying(self) -> None:
        retry = FIRST_RETRY
        while True:
            started = time.monotonic()
            try:
                await self._session()
            except SourceRefused as error:
                await self._report.say(State.REFUSED, str(error))
                retry = LONGEST_RETRY
            except SourceLost as error:
                await self._report.say(State.RETRYING, f"{error}. Trying again.")
                if time.monotonic() - started > STEADY:
                    retry = FIRST_RETRY
            except Exception as error:  # noqa: BLE001  # whatever breaks one camera, it is told there, and tried again
                # An error's text may repeat the address; where it was raised does not.
                where = traceback.format_tb(error.__traceback__)
                log.error("a camera's work failed", error=type(error).__name__, where=where)
                await self._report.say(State.RETRYING, f"Unexpected: {type(error).__name__}. Trying again.")
            await asyncio.sleep(retry * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, no secret
            retry = min(retry * 2, LONGEST_RETRY)

    async def _session(self) -> None:
        await self._report.say(State.STARTING, "Opening the source.")
        try:
            address = self._settings.vault.open(self._source.address)
        except CannotOpen as error:
            raise SourceRefused(f"the camera's address cannot be read: {error}") from error
        source = await in_thread(
            lambda: open_source(
                address,
                egress=self._settings.egress(trusted=self._source.trusted),
                open_timeout=self._settings.open_timeout,
                read_timeout=self._settings.read_timeout,
                track=self._spec.capture.track,
                rate=self._spec.capture.rate,
            )
        )
        try:
            await (self._file(source) if source.policy is Policy.EVERY else self._live(source))
        finally:
            source.close()

    # A source that can be read again: every frame, from where it was left.

    async def _file(self, source: FrameSource) -> None:
        progress = await self._resume(source)
        if not progress.finished:
            await self._publish_file(source, progress)
            said = f"Read to its end. {_notes(source)}".rstrip()
            await self._report.say(State.FINISHED, said, session=progress.session)
        else:
            await self._report.say(
                State.ALREADY_COUNTED,
                f"{source.name} is already counted; AGAIN=yes, or `metrica camera set … --again`, counts it anew.",
                session=progress.session,
            )
        await asyncio.Event().wait()  # until its configuration changes

    async def _resume(self, source: FrameSource) -> Progress:
        """The place to go on at, with nothing left behind: in another model's queue, or lost in a power cut on its way.

        What is under way now is published once more with it, and recognised by its id.
        """
        stranded = await find_stranded(self._bus, self._spec)
        progress = await self._find_progress(source, stranded)
        missing = await self._progress.missing(self._spec.camera, progress.session)
        first = min((seq for seq in (stranded.first.get(progress.session), missing) if seq is not None), default=None)
        if first is not None and first < progress.next_seq:
            log.info("frames that were not counted yet are published again", first=first, instead_of=progress.next_seq)
            progress = progress.model_copy(update={"next_seq": first, "finished": False})
            await self._progress.write(self._spec.camera, progress)
        await discard(self._bus, stranded)
        return progress

    async def _find_progress(self, source: FrameSource, stranded: Stranded) -> Progress:
        known = await self._progress.read(self._spec.camera)
        sessions = FileSessions(source, self._spec.capture, self._source)
        if known is not None:
            if await sessions.goes_on(known):
                return known
            if not known.finished:
                await self._abandon(known, source, stranded.first.get(known.session, known.next_seq))
        progress = (known and await sessions.counted(known)) or await sessions.new(known)
        await self._progress.write(self._spec.camera, progress)
        return progress

    async def _publish_file(self, source: FrameSource, progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        saved_at = time.monotonic()
        left = False
        keeping: asyncio.Task[None] | None = None

        async def keep(frame: Frame) -> None:
            nonlocal progress, saved_at, keeping
            if left:
                raise SourceClosed(source.name)
            keeping = asyncio.current_task()
            header = frame.header.model_copy(update={"spec_revision": self._spec.revision, "policy": Policy.EVERY})
            await self._publisher.keep(header, frame.jpeg, self._spec)
            progress = progress.model_copy(update={"next_seq": header.seq + 1, "finished": header.end is not None})
            if header.end is not None or time.monotonic() - saved_at > SAVE_EVERY:
                saved_at = time.monotonic()
                await self._progress.write(self._spec.camera, progress)
                await self._report.say(State.RUNNING, session=progress.session)

        def pump(items: Iterator[Frame]) -> None:
            with suppress(SourceClosed, CancelledError):
                for frame in items:
                    asyncio.run_coroutine_threadsafe(keep(frame), loop).result()

        await self._report.say(State.RUNNING, session=progress.session)
        items = file_frames(source, self._spec, session=progress.session, start=progress.start, begin=progress.next_seq)
        try:
            await in_thread(lambda: pump(items))
        finally:
            # The thread may be between two frames, and a frame be waiting for room in its stream. Neither may outlive
            # this: it would write its progress over that of whoever goes on with the camera.
            left = True
            if keeping is not None:
                await cancel_and_wait(keeping)
            if not progress.finished:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_TIMEOUT):
                        await self._progress.write(self._spec.camera, progress)

    async def _abandon(self, known: Progress, source: FrameSource, next_seq: int) -> None:
        """Close a session that will not be gone on with, so that its tracks and its count are closed too.

        Args:
            known: how far it came.
            source: of the session that takes its place.
            next_seq: the first frame that will not be looked at any more.
        """
        width, height = source.size
        await self._publisher.keep(
            FrameHeader(
                run=LIVE,
                store=self._spec.store,
                camera=self._spec.camera,
                session=known.session,
                seq=ABANDONED,
                previous=next_seq - 1 if next_seq else None,
                captured_at=known.start,
                width=width,
                height=height,
                spec_revision=self._spec.revision,
                policy=Policy.EVERY,
                end=EndReason.STOPPED,
            ),
            b"",
            self._spec,
        )

    # A live source: the newest frame, dropped where it cannot be published in time.

    async def _live(self, source: FrameSource) -> None:
        loop = asyncio.get_running_loop()
        newest = _Newest(self._publisher.drop)
        session, epoch = _LiveSession(), self._epoch

        def pump() -> None:
            clock = WallClock()
            with suppress(SourceClosed):
                for _, pts_ns in kept(source, self._spec.capture.fps):
                    captured_at = clock.date(pts_ns)
                    item = captured_at, encode(source.retrieve(), self._spec.capture)
                    loop.call_soon_threadsafe(newest.put, item)

        reading = in_thread(pump)
        reading.add_done_callback(lambda _: newest.close())
        reason = EndReason.STOPPED
        try:
            while (item := await newest.get()) is not None:
                if self._lease is not None and not self._lease.held:
                    self._publisher.drop()  # another replica may show the same people in a session of its own
                    continue
                if epoch != self._epoch:  # one may have shown them meanwhile: this session is over for the tracker
                    session, epoch = _LiveSession(), self._epoch
                captured_at, picture = item
                header = session.header(self._spec, captured_at, picture)
                await self._offer(session, header, picture)
                await self._report.say(State.RUNNING, _notes(source), session=session.id)
            reason = EndReason.LOST
            await reading
            raise SourceLost(f"{source.name} ended the stream")
        finally:
            if (end := session.end(self._spec, reason)) is not None:
                await self._publisher.offer(end, b"", self._spec)

    async def _offer(self, session: _LiveSession, header: FrameHeader, picture: Encoded) -> None:
        """Publish a frame. One that is under way when the camera is left may be stored: its end must come after it."""
        offering = asyncio.create_task(self._publisher.offer(header, picture.jpeg, self._spec))
        try:
            stored = await asyncio.shield(offering)
        except asyncio.CancelledError:
            await asyncio.wait([offering], timeout=LEAVE_TIMEOUT)
            if offering.done() and not offering.cancelled() and offering.exception() is None and offering.result():
                session.published(header)
            await cancel_and_wait(offering)
            raise
        if stored:
            session.published(header)

    @property
    def _epoch(self) -> int:
        return 0 if self._lease is None else self._lease.epoch


def _notes(source: FrameSource) -> str:
    return " ".join(f"Note: {note.text}." for note in source.notes)


class _Newest:
    """Hands the newest picture from the reading thread to the loop; an older one that was not taken is dropped."""

    def __init__(self, dropped: Callable[[], None]) -> None:
        self._dropped = dropped
        self._item: tuple[int, Encoded] | None = None
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, item: tuple[int, Encoded]) -> None:
        if self._item is not None:
            self._dropped()
        self._item = item
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def get(self) -> tuple[int, Encoded] | None:
        await self._changed.wait()
        item, self._item = self._item, None
        if not self._closed:
            self._changed.clear()
        return item


class _LiveSession:
    """One unbroken connection while nobody else has the camera: numbers its frames."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self._next_seq = 0
        self._last: FrameHeader | None = None

    def header(self, spec: CameraSpec, captured_at: int, picture: Encoded) -> FrameHeader:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        return FrameHeader(
            run=LIVE,
            store=spec.store,
            camera=spec.camera,
            session=self.id,
            seq=seq,
            previous=None if self._last is None else self._last.seq,
            captured_at=captured_at,
            width=picture.width,
            height=picture.height,
            spec_revision=spec.revision,
            policy=Policy.LATEST,
        )

    def published(self, header: FrameHeader) -> None:
        self._last = header

    def end(self, spec: CameraSpec, reason: EndReason) -> FrameHeader | None:
        if self._last is None:
            return None
        return self._last.model_copy(
            update={
                "seq": self._next_seq,
                "previous": self._last.seq,
                "spec_revision": spec.revision,
                "end": reason,
            }
        )
