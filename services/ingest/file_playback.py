"""File playback: every frame of a repeatable source is published once, from where the last reading stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress

from contracts.events import State
from contracts.frames import EndReason
from contracts.identity import Policy
from contracts.spec import CameraSpec, Source
from services.ingest.file_sessions import FileSessions
from services.ingest.progress import FileProgress, ProgressStore
from services.ingest.publishing import LEAVE_TIMEOUT, Publisher
from services.ingest.requeue import Stranded, discard, find_stranded
from services.ingest.session import file_frames, frame_header
from services.ingest.source import FrameSource
from services.ingest.status import CameraStatus, notes_as_message
from services.ingest.threads import iterate_in_thread
from services.kit.logs import logger
from services.kit.nats.bus import Bus

SAVE_EVERY = 1.0
"""Seconds between two writes of the progress."""
ABANDONED = 1_000_000_000
"""The seq of the end that is published for an abandoned session: past any frame of it."""

log = logger()


class FilePlayback:
    """Publishes the frames of a file, or of a simulation that can be repeated, for one camera.

    Args:
        bus: the connection.
        progress: where the camera's progress is kept.
        publisher: the camera's.
        status: reports the camera's status.
        configured: the source as it is configured: its start, and whether to count anew.
        spec: gives the camera's present spec, which may change during playback.
    """

    def __init__(
        self,
        bus: Bus,
        progress: ProgressStore,
        publisher: Publisher,
        status: CameraStatus,
        configured: Source,
        spec: Callable[[], CameraSpec],
    ) -> None:
        self._bus, self._progress = bus, progress
        self._publisher, self._status = publisher, status
        self._configured, self._spec = configured, spec

    async def run(self, source: FrameSource) -> None:
        """Publish the rest of the source, report its end, then wait for cancellation, as by a new configuration.

        Raises:
            SourceLost: the source broke while it was read.
            SourceRefused: the source can no longer be read.
        """
        progress = await self._resume(source)
        if not progress.finished:
            await self.publish(source, progress)
            notes = {"notes": notes_as_message(source)}
            message = f"Read to its end. {notes['notes']}".rstrip()
            await self._status.report(
                State.FINISHED, message, code="read-to-its-end", params=notes, session=progress.session
            )
        else:
            await self._status.report(
                State.ALREADY_COUNTED,
                f"{source.name} is already counted; AGAIN=yes, or `metrica camera set … --again`, counts it anew.",
                code="already-counted",
                params={"source": source.name},
                session=progress.session,
            )
        await asyncio.Event().wait()

    async def publish(self, source: FrameSource, progress: FileProgress) -> None:
        """Publish the frames from `progress` to the end of the session, each after the one before was stored.

        Progress is saved every SAVE_EVERY seconds and at the end; cancelled, once more within LEAVE_TIMEOUT. Nothing is
        published or saved after that: it would overwrite the progress of a replica that has taken the camera over.
        """
        await self._status.report(State.RUNNING, session=progress.session)
        saved_at = time.monotonic()
        frames = file_frames(
            source, self._spec(), session=progress.session, start=progress.start, begin=progress.next_seq
        )
        try:
            async with aclosing(iterate_in_thread(frames)) as arriving:
                async for frame in arriving:
                    spec = self._spec()
                    header = frame.header.model_copy(update={"spec_revision": spec.revision, "policy": Policy.EVERY})
                    await self._publisher.keep(header, frame.jpeg, spec)
                    progress = progress.after(header)
                    if progress.finished or time.monotonic() - saved_at > SAVE_EVERY:
                        saved_at = time.monotonic()
                        await self._progress.write(spec.camera, progress)
                        await self._status.report(State.RUNNING, session=progress.session)
        finally:
            if not progress.finished:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_TIMEOUT):
                        await self._progress.write(self._spec().camera, progress)

    async def _resume(self, source: FrameSource) -> FileProgress:
        """Choose the frame to go on at, so that none is left out.

        Frames that are queued for another model, and frames that the tracker never took because they were lost in a
        power cut, are published again. With them come frames that are already on their way: their ids are the same.
        """
        camera = self._spec().camera
        stranded = await find_stranded(self._bus, self._spec())
        progress = await self.choose_session(source, stranded)
        missing = await self._progress.first_missing(camera, progress.session)
        first = min((seq for seq in (stranded.first.get(progress.session), missing) if seq is not None), default=None)
        if first is not None and first < progress.next_seq:
            log.info("frames that were not counted yet are published again", first=first, instead_of=progress.next_seq)
            progress = progress.model_copy(update={"next_seq": first, "finished": False})
            await self._progress.write(camera, progress)
        await discard(self._bus, stranded)
        return progress

    async def choose_session(self, source: FrameSource, stranded: Stranded) -> FileProgress:
        """Choose the source's session, and save it: the present one, an earlier finished one, or a new one.

        Args:
            source: freshly opened.
            stranded: the camera's frames that are queued for other models.

        Returns:
            The session with its progress. Where it replaces an unfinished session, the end of that was published.
        """
        camera = self._spec().camera
        known = await self._progress.read(camera)
        sessions = FileSessions(source, self._spec().capture, self._configured)
        if known is not None:
            if await sessions.continues(known):
                return known
            if not known.finished:
                await self._abandon(known, source, stranded.first.get(known.session, known.next_seq))
        progress = (known and await sessions.already_counted(known)) or await sessions.new(known)
        await self._progress.write(camera, progress)
        return progress

    async def _abandon(self, known: FileProgress, source: FrameSource, next_seq: int) -> None:
        """Publish the end of a session that will not be continued, so that its tracks and its count are closed.

        Args:
            known: the session's progress.
            source: of the session that takes its place.
            next_seq: the first frame that no detector will look at any more.
        """
        spec = self._spec()
        header = frame_header(
            spec,
            session=known.session,
            seq=ABANDONED,
            previous=next_seq - 1 if next_seq else None,
            captured_at=known.start,
            size=source.size,
            policy=Policy.EVERY,
            end=EndReason.STOPPED,
        )
        await self._publisher.keep(header, b"", spec)
