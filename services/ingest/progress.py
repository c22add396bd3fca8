"""Progress of files: ingest saves the frame that it has reached, so that a restart continues there."""

from __future__ import annotations

from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ConfigDict

from contracts.checkpoints import Taken, checkpoint_key
from contracts.frames import FrameHeader
from contracts.identity import LIVE, partition
from contracts.spec import Source
from contracts.streams import CHECKPOINTS, INGEST_STATE
from services.kit.nats.bus import Bus
from services.kit.retry import retry

REMEMBERED = 16
"""Earlier sessions of a camera that are remembered beside the present one."""


class FileProgress(BaseModel):
    """A session of a camera's file or simulation, and how far it has been published.

    Attributes:
        version: of this format.
        session: its name.
        start: captured_at of the source's first instant, ns UTC.
        asked: the start that the configuration named, if any; a recount begins at another.
        again: the number of recounts that were requested for the camera by then.
        next_seq: the next frame to publish. A low estimate: frames from there on may have been published, and are
            published again under the same ids.
        finished: whether the session's end was published.
        earlier: the sessions before, the oldest first, so that a file that comes back is not counted twice.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    session: str
    start: int
    asked: int | None = None
    again: int = 0
    next_seq: int = 0
    finished: bool = False
    earlier: tuple[FileProgress, ...] = ()

    def is_configured_by(self, source: Source) -> bool:
        """Tell whether a configuration still means this session, provided that the content is the same."""
        return source.again <= self.again and source.start in {None, self.asked, self.start}

    def after(self, header: FrameHeader) -> FileProgress:
        """The progress once a frame, or the session's end, was published."""
        return self.model_copy(update={"next_seq": header.seq + 1, "finished": header.end is not None})

    def back_to(self, earlier: FileProgress) -> FileProgress:
        """The progress to save when an earlier session becomes the present one again, without a recount request."""
        return earlier.model_copy(update={"again": self.again, "earlier": self.history(but=earlier)})

    def history(self, *, but: FileProgress | None = None) -> tuple[FileProgress, ...]:
        """The sessions to remember when another replaces this one: the earlier ones and this one, at most REMEMBERED.

        Args:
            but: a session to leave out.
        """
        alone = self.model_copy(update={"earlier": ()})
        return tuple(progress for progress in (*self.earlier, alone) if progress != but)[-REMEMBERED:]


def choose_start(source: Source, known: FileProgress | None, *, now: int) -> int:
    """Choose captured_at of a new session's first instant, ns UTC: the configured one, else now.

    Args:
        source: the source as it is configured.
        known: the session before, if any.
        now: the present moment, ns UTC.
    """
    asked = source.start
    if asked is None:
        return now
    # A recount from the same start would make the same ids, and count nothing.
    repeated = known is not None and source.again > known.again and asked in {known.asked, known.start}
    return now if repeated else asked


class ProgressStore:
    """The KV bucket `ingest_state`, one entry per camera."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket: KeyValue | None = None

    async def read(self, camera: str) -> FileProgress | None:
        """Read a camera's progress; wait while the broker is away."""

        async def read_once() -> FileProgress | None:
            try:
                entry = await (await self._open()).get(camera)
            except KeyNotFoundError:
                return None
            return FileProgress.model_validate_json(entry.value or b"")

        return await retry(read_once)

    async def write(self, camera: str, progress: FileProgress) -> None:
        """Save a camera's progress; wait while the broker is away."""

        async def write_once() -> None:
            await (await self._open()).put(camera, progress.model_dump_json().encode())

        await retry(write_once)

    async def first_missing(self, camera: str, session: str) -> int | None:
        """Ask for the first frame of a session that the tracker has not taken; wait while the broker is away.

        Returns:
            Its seq; None where the tracker took the whole session, or has no checkpoints yet.
        """

        async def read_once() -> int | None:
            try:
                bucket = await self._bus.js.key_value(CHECKPOINTS.name)
                entry = await bucket.get(checkpoint_key(LIVE, partition(camera), camera))
            except KeyNotFoundError:
                return 0
            except BucketNotFoundError:
                return None
            return Taken.model_validate_json(entry.value or b"{}").first_missing(session)

        return await retry(read_once)

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._bus.bucket(INGEST_STATE)
        return self._bucket
