"""Sources of stored data for runs: the detections and recorded frames that the broker still has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, RawStreamMsg
from nats.js.errors import KeyNotFoundError, NotFoundError

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy, to_ns
from contracts.runs import RunKind
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import CAMERAS, DETECTIONS, RECORDED, Stream
from contracts.subjects import detections, parse, recorded
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer

AROUND = 60_000_000_000
"""Nanoseconds before and after a period that are searched, too: detections may be late."""
BATCH = 256


@dataclass(frozen=True, slots=True)
class StoredExtent:
    """The extent of a camera's stored data: captured_at of the first and last, ns UTC, and about how many frames."""

    store: str
    first: int
    last: int
    frames: int


class HistorySource(Protocol):
    """A source of frames and detections for a run: the broker, or a segment's file.

    Attributes:
        since: begin of the period that it is about, ns UTC; None for all of its data.
        until: end of that period, exclusive; None for all.
    """

    since: int | None
    until: int | None

    async def cameras(self, kind: RunKind) -> list[str]:
        """List the cameras with stored data."""
        ...

    async def extent(self, kind: RunKind, camera: str) -> StoredExtent | None:
        """Return the extent of a camera's stored data; None if there is none."""
        ...

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        """Return a camera's spec at a revision, or its newest; None if it is unknown."""
        ...

    def detections(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[Detections, int]]:
        """Yield the detections from about `begin` to `until` (ns UTC), in stored order, each with its storage time."""
        ...

    def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """Yield the recorded frames from about `begin` to `until` (ns UTC), in order, each with its JPEG."""
        ...


class BrokerHistory:
    """The broker's streams as a source of runs.

    Args:
        bus: the connection.
        stores: the store of each camera of which only the data in that store are meant.
    """

    since: int | None = None
    until: int | None = None

    def __init__(self, bus: Bus, stores: Mapping[str, str] | None = None) -> None:
        self._bus, self._stores = bus, stores or {}

    async def cameras(self, kind: RunKind) -> list[str]:
        """See `HistorySource`."""
        return sorted({parse(subject).camera for subject in await self._subjects(kind, _stream(kind).subjects[0])})

    async def extent(self, kind: RunKind, camera: str) -> StoredExtent | None:
        """See `HistorySource`."""
        stream, subjects = _stream(kind).name, await self._subjects(kind, self._pattern(kind, camera))
        if not subjects:
            return None
        ends = [
            (await self._bus.js.get_msg(stream, seq=1, subject=subject, next=True),
             await self._bus.js.get_last_msg(stream, subject))
            for subject in subjects
        ]  # fmt: skip
        return StoredExtent(
            store=parse(max(ends, key=lambda pair: pair[1].seq or 0)[1].subject or "").store,
            first=min(_frame_of(kind, first).captured_at for first, _ in ends),
            last=max(_frame_of(kind, last).captured_at for _, last in ends),
            frames=sum(subjects.values()),
        )

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        """See `HistorySource`."""
        bucket = await self._bus.bucket(CAMERAS)
        try:
            entry = await bucket.get(current_key(camera) if revision is None else spec_key(camera, revision))
        except KeyNotFoundError:
            return None
        return CameraSpec.model_validate_json(entry.value or b"")

    async def detections(
        self, camera: str, begin: int, until: int, *, follow: bool = False
    ) -> AsyncIterator[tuple[Detections, int]]:
        """See `HistorySource`. `follow` goes on to new messages, for ever."""
        async for msg in self._messages(RunKind.DETECTIONS, camera, begin, follow=follow):
            event = Detections.model_validate_json(msg.data)
            if event.policy is Policy.LATEST and event.captured_at >= until + AROUND:
                return
            yield event, to_ns(msg.metadata.timestamp)

    async def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """See `HistorySource`."""
        async for msg in self._messages(RunKind.FRAMES, camera, begin):
            header = FrameHeader.from_headers(msg.headers)
            if header.policy is Policy.LATEST and header.captured_at >= until + AROUND:
                return
            yield header, msg.data

    async def _messages(self, kind: RunKind, camera: str, begin: int, *, follow: bool = False) -> AsyncIterator[Msg]:
        stream, pattern = _stream(kind).name, self._pattern(kind, camera)
        try:
            last = await self._bus.js.get_last_msg(stream, pattern)
        except NotFoundError:
            if not follow:
                return
            last = RawStreamMsg()  # nothing yet
        config = ConsumerConfig(filter_subject=pattern, deliver_policy=DeliverPolicy.ALL)
        if last.seq is not None and _frame_of(kind, last).policy is Policy.LATEST:
            # A live camera's messages are stored in order of capture. A file's times are arbitrary.
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = await self._position(kind, camera, begin - AROUND, last.seq)
        async with OrderedConsumer(self._bus, stream, config, ahead=2 * BATCH) as consumer:
            while True:
                for msg in await consumer.batch(BATCH):
                    yield msg
                    if msg.metadata.sequence.stream >= (last.seq or 0) and not follow:
                        return

    async def _position(self, kind: RunKind, camera: str, captured_at: int, last: int) -> int:
        """Find the stream position of a camera's first message captured at this time or later, or of its last one."""
        stream, pattern = _stream(kind).name, self._pattern(kind, camera)
        low, high = 1, last
        while low < high:
            middle = (low + high) // 2
            message = await self._bus.js.get_msg(stream, seq=middle, subject=pattern, next=True)
            if _frame_of(kind, message).captured_at < captured_at:
                low = (message.seq or middle) + 1
            else:
                high = middle
        return min(low, last)

    def _pattern(self, kind: RunKind, camera: str) -> str:
        """Return the filter for a camera's messages."""
        store = self._stores.get(camera, "*")
        return recorded(LIVE, store, camera) if kind is RunKind.FRAMES else detections(LIVE, store, camera)

    async def _subjects(self, kind: RunKind, pattern: str) -> dict[str, int]:
        """Return the subjects with messages, and their numbers of messages."""
        info = await self._bus.js.stream_info(_stream(kind).name, subjects_filter=pattern)
        return dict(info.state.subjects or {})


def _stream(kind: RunKind) -> Stream:
    return RECORDED if kind is RunKind.FRAMES else DETECTIONS


def _frame_of(kind: RunKind, msg: RawStreamMsg) -> FrameHeader | Detections:
    """Decode a message's facts about its frame."""
    return (
        FrameHeader.from_headers(msg.headers)
        if kind is RunKind.FRAMES
        else Detections.model_validate_json(msg.data or b"")
    )


def now_ns() -> int:
    """Return the present time, ns UTC."""
    return to_ns(datetime.now(UTC))
