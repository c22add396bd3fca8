"""Live capture: the latest frame of a live source is published; frames that cannot be published in time are dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from contracts.events import State
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec
from services.ingest.publishing import LEAVE_TIMEOUT, Publisher
from services.ingest.session import frame_header
from services.ingest.source import FrameSource, SourceClosed, SourceLost, decimate
from services.ingest.sources.dating import WallClock
from services.ingest.status import CameraStatus, notes_as_message
from services.ingest.threads import in_thread
from services.kit.codec import Encoded, encode
from services.kit.nats.leases.lease import Lease
from services.kit.tasks import finish

Picture = tuple[int, Encoded]
"""An encoded frame with its captured_at, ns UTC."""


class LiveCapture:
    """Publishes the frames of one live camera.

    Args:
        publisher: the camera's.
        status: reports the camera's status.
        spec: gives the camera's present spec, which may change while it is captured.
        lease: the replica's on the camera; None where no other replica works on it.
    """

    def __init__(
        self,
        publisher: Publisher,
        status: CameraStatus,
        spec: Callable[[], CameraSpec],
        lease: Lease | None = None,
    ) -> None:
        self._publisher, self._status, self._spec, self._lease = publisher, status, spec, lease

    async def run(self, source: FrameSource) -> None:
        """Publish until the source breaks or the caller is cancelled; in both cases the session's end is published.

        Raises:
            SourceLost: the stream ended or broke.
        """
        latest = _LatestPicture(self._publisher.drop)
        session, epoch = _LiveSession(), self._epoch
        reading = self._read(source, latest)
        reason = EndReason.STOPPED
        try:
            while (picture := await latest.get()) is not None:
                if self._lease is not None and not self._lease.held:
                    self._publisher.drop()  # another replica may publish the camera in a session of its own
                    continue
                if epoch != self._epoch:
                    # Another replica may have published meanwhile, at which the tracker ended this session.
                    session, epoch = _LiveSession(), self._epoch
                await self._offer(session, picture)
                notes = notes_as_message(source)
                await self._status.report(
                    State.RUNNING,
                    notes,
                    code="notes" if notes else None,
                    params={"notes": notes} if notes else None,
                    session=session.id,
                )
            reason = EndReason.LOST
            await reading
            raise SourceLost(f"{source.name} ended the stream", code="stream-ended", source=source.name)
        finally:
            if (end := session.end(self._spec(), reason)) is not None:
                await self._publisher.offer(end, b"", self._spec())

    def _read(self, source: FrameSource, latest: _LatestPicture) -> asyncio.Future[None]:
        """Read the source in a thread of its own, which ends when the source is closed."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            clock = WallClock()
            with suppress(SourceClosed):
                for _, pts_ns in decimate(source, self._spec().capture.fps):
                    captured_at = clock.date(pts_ns)
                    picture = captured_at, encode(source.retrieve(), self._spec().capture)
                    loop.call_soon_threadsafe(latest.put, picture)

        reading = in_thread(read)
        reading.add_done_callback(lambda _: latest.close())
        return reading

    async def _offer(self, session: _LiveSession, picture: Picture) -> None:
        """Publish a frame.

        Cancelled meanwhile, it waits up to LEAVE_TIMEOUT for the broker's answer: a frame that was stored has to be
        followed by the session's end.
        """

        async def offer() -> None:
            spec = self._spec()
            header = session.header(spec, picture)
            if await self._publisher.offer(header, picture[1].jpeg, spec):
                session.published(header)

        await finish(offer(), within=lambda: LEAVE_TIMEOUT)

    @property
    def _epoch(self) -> int:
        return 0 if self._lease is None else self._lease.epoch


class _LatestPicture:
    """Hands pictures from the reading thread to the loop, one at a time; a newer picture overwrites one not yet taken.

    Args:
        dropped: called for each picture that was overwritten.
    """

    def __init__(self, dropped: Callable[[], None]) -> None:
        self._dropped = dropped
        self._picture: Picture | None = None
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, picture: Picture) -> None:
        if self._picture is not None:
            self._dropped()
        self._picture = picture
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def get(self) -> Picture | None:
        """Wait for a picture; None once it is closed and empty."""
        await self._changed.wait()
        picture, self._picture = self._picture, None
        if not self._closed:
            self._changed.clear()
        return picture


class _LiveSession:
    """Numbers the frames of one unbroken connection during which no other replica held the camera's lease."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self._next_seq = 0
        self._last: FrameHeader | None = None

    def header(self, spec: CameraSpec, picture: Picture) -> FrameHeader:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        captured_at, encoded = picture
        return frame_header(
            spec,
            session=self.id,
            seq=seq,
            previous=None if self._last is None else self._last.seq,
            captured_at=captured_at,
            size=(encoded.width, encoded.height),
            policy=Policy.LATEST,
        )

    def published(self, header: FrameHeader) -> None:
        self._last = header

    def end(self, spec: CameraSpec, reason: EndReason) -> FrameHeader | None:
        """The header that ends the session; None where none of its frames was published."""
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
