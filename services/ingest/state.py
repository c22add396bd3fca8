"""What ingest remembers of a source that can be read again: where it was, so that a restart goes on there."""

from __future__ import annotations

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ConfigDict

from contracts.spec import Source
from contracts.streams import INGEST_STATE
from services.kit.bus import Backoff, Bus


class Progress(BaseModel):
    """How far a camera's file or simulation has been published.

    `next_seq` is a low estimate: frames from there on may have been published, and come again under the same ids.
    `asked` is the start that the configuration named, where it named one; counting anew takes another.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    session: str
    start: int
    asked: int | None = None
    again: int = 0
    next_seq: int = 0
    finished: bool = False


def choose_start(source: Source, known: Progress | None, *, now: int) -> int:
    """`captured_at` of a file's first instant, ns UTC: as asked or as it was; another one where it is counted anew."""
    asked = source.start
    if known is None:
        return now if asked is None else asked
    if source.again <= known.again:
        return known.start if asked is None or asked == known.asked else asked
    # The same start would make the same ids: nothing would be counted anew.
    return now if asked is None or asked in {known.asked, known.start} else asked


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

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._bus.bucket(INGEST_STATE)
        return self._bucket
