"""What ingest remembers of a source that can be read again: where it was, so that a restart goes on there."""

from __future__ import annotations

from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ConfigDict

from contracts.checkpoints import Taken, checkpoint_key
from contracts.identity import LIVE, partition
from contracts.spec import Source
from contracts.streams import CHECKPOINTS, INGEST_STATE
from services.kit.nats.bus import Backoff, Bus

REMEMBERED = 16
"""Files of a camera, besides the present one, that are known to have been read."""


class Progress(BaseModel):
    """How far a camera's file or simulation has been published.

    `next_seq` is a low estimate: frames from there on may have been published, and come again under the same ids.
    `asked` is the start that the configuration named, where it named one; counting anew takes another. `earlier` are
    the sessions of before, the oldest first: a file that comes back is not counted twice.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    session: str
    start: int
    asked: int | None = None
    again: int = 0
    next_seq: int = 0
    finished: bool = False
    earlier: tuple[Progress, ...] = ()

    def is_asked_for(self, source: Source) -> bool:
        """Whether the configuration still means this session, provided that the source shows the same."""
        return source.again <= self.again and source.start in {None, self.asked, self.start}

    def gone_back_to(self, one: Progress) -> Progress:
        """What is remembered where a session of before takes this one's place again: nobody asked to count it anew."""
        return one.model_copy(update={"again": self.again, "earlier": self.superseded(but=one)})

    def superseded(self, *, but: Progress | None = None) -> tuple[Progress, ...]:
        """What is remembered of this one and those before where another takes its place."""
        alone = self.model_copy(update={"earlier": ()})
        return tuple(one for one in (*self.earlier, alone) if one != but)[-REMEMBERED:]


def choose_start(source: Source, known: Progress | None, *, now: int) -> int:
    """`captured_at` of a file's first instant, ns UTC, where a session begins: as asked, or now.

    Args:
        source: what the configuration asks for.
        known: the session before, if any.
        now: the present moment.
    """
    asked = source.start
    if asked is None:
        return now
    # Counted anew from the same start, it would make the same ids, and count nothing.
    repeated = known is not None and source.again > known.again and asked in {known.asked, known.start}
    return now if repeated else asked


class ProgressStore:
    """The bucket `ingest_state`, one entry per camera."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket: KeyValue | None = None

    async def read(self, camera: str) -> Progress | None:
        """A camera's progress, waiting through an outage."""
        backoff = Backoff()
        while True:
            try:
                entry = await (await self._open()).get(camera)
            except KeyNotFoundError:
                return None
            except (NatsError, TimeoutError, OSError):
                await backoff.wait()
            else:
                return Progress.model_validate_json(entry.value or b"")

    async def write(self, camera: str, progress: Progress) -> None:
        """Remember a camera's progress, waiting through an outage."""
        backoff = Backoff()
        while True:
            try:
                await (await self._open()).put(camera, progress.model_dump_json().encode())
            except (NatsError, TimeoutError, OSError):
                await backoff.wait()
            else:
                return

    async def missing(self, camera: str, session: str) -> int | None:
        """The first frame of a session that the tracker has not taken, waiting through an outage.

        None where it took all of it, or has no checkpoints yet.
        """
        backoff = Backoff()
        while True:
            try:
                bucket = await self._bus.js.key_value(CHECKPOINTS.name)
                entry = await bucket.get(checkpoint_key(LIVE, partition(camera), camera))
            except KeyNotFoundError:
                return 0
            except BucketNotFoundError:
                return None
            except (NatsError, TimeoutError, OSError):
                await backoff.wait()
            else:
                return Taken.model_validate_json(entry.value or b"{}").first_missing(session)

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._bus.bucket(INGEST_STATE)
        return self._bucket
