"""What was: the detections and recorded frames that the broker still holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
from services.kit.nats.consumer import Reader

AROUND = 60_000_000_000
"""Nanoseconds before and behind a period in which what is stored is looked through: detections may be late."""
BATCH = 256


@dataclass(frozen=True, slots=True)
class Held:
    """What there is of a camera: from when to when it was captured, ns UTC, and about how many frames."""

    store: str
    first: int
    last: int
    frames: int


class Past(Protocol):
    """Where a run's frames and detections come from: the broker, or a segment's file.

    Attributes:
        since, until: what it is about, ns UTC, where that is not all that it holds.
    """

    since: int | None
    until: int | None

    async def cameras(self, kind: RunKind) -> list[str]:
        """The cameras of which there is anything."""
        ...

    async def held(self, kind: RunKind, camera: str) -> Held | None:
        """What there is of a camera; None where there is nothing."""
        ...

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        """The camera's spec at a revision, or the newest; None where it is not known."""
        ...

    def detections(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[Detections, int]]:
        """What was seen from `begin` to `until` (ns UTC) and around, in the order in which it was stored, and when."""
        ...

    def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """The recorded frames from `begin` to `until` (ns UTC) and around, in their order, with their JPEGs."""
        ...


class BrokerPast:
    """What the streams hold."""

    since: int | None = None
    until: int | None = None

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def cameras(self, kind: RunKind) -> list[str]:
        """See `Past`."""
        return sorted({parse(subject).camera for subject in await self._subjects(kind, _stream(kind).subjects[0])})

    async def held(self, kind: RunKind, camera: str) -> Held | None:
        """See `Past`."""
        stream, subjects = _stream(kind).name, await self._subjects(kind, _pattern(kind, camera))
        if not subjects:
            return None
        ends = [
            (await self._bus.js.get_msg(stream, seq=1, subject=subject, next=True),
             await self._bus.js.get_last_msg(stream, subject))
            for subject in subjects
        ]  # fmt: skip
        return Held(
            store=parse(max(ends, key=lambda pair: pair[1].seq or 0)[1].subject or "").store,
            first=min(_said(kind, first).captured_at for first, _ in ends),
            last=max(_said(kind, last).captured_at for _, last in ends),
            frames=sum(subjects.values()),
        )

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        """See `Past`."""
        bucket = await self._bus.bucket(CAMERAS)
        try:
            entry = await bucket.get(current_key(camera) if revision is None else spec_key(camera, revision))
        except KeyNotFoundError:
            return None
        return CameraSpec.model_validate_json(entry.value or b"")

    async def detections(
        self, camera: str, begin: int, until: int, *, follow: bool = False
    ) -> AsyncIterator[tuple[Detections, int]]:
        """See `Past`. To follow means to wait for what comes, for ever."""
        async for msg in self._messages(RunKind.DETECTIONS, camera, begin, follow=follow):
            event = Detections.model_validate_json(msg.data)
            if event.policy is Policy.LATEST and event.captured_at >= until + AROUND:
                return
            yield event, to_ns(msg.metadata.timestamp)

    async def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """See `Past`."""
        async for msg in self._messages(RunKind.FRAMES, camera, begin):
            header = FrameHeader.from_headers(msg.headers)
            if header.policy is Policy.LATEST and header.captured_at >= until + AROUND:
                return
            yield header, msg.data

    async def _messages(self, kind: RunKind, camera: str, begin: int, *, follow: bool = False) -> AsyncIterator[Msg]:
        stream, pattern = _stream(kind).name, _pattern(kind, camera)
        try:
            last = await self._bus.js.get_last_msg(stream, pattern)
        except NotFoundError:
            if not follow:
                return
            last = RawStreamMsg()  # nothing yet
        config = ConsumerConfig(filter_subject=pattern, deliver_policy=DeliverPolicy.ALL)
        if last.seq is not None and _said(kind, last).policy is Policy.LATEST:
            # Of a live camera, what was captured later was stored later. A file may be of any time.
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = await self._position(kind, camera, begin - AROUND, last.seq)
        async with Reader(self._bus, stream, config, ahead=2 * BATCH) as reader:
            while True:
                for msg in await reader.batch(BATCH):
                    yield msg
                    if msg.metadata.sequence.stream >= (last.seq or 0) and not follow:
                        return

    async def _position(self, kind: RunKind, camera: str, captured_at: int, last: int) -> int:
        """The place from which on a camera's messages were captured at this time or later, or its last one."""
        stream, pattern = _stream(kind).name, _pattern(kind, camera)
        low, high = 1, last
        while low < high:
            middle = (low + high) // 2
            found = await self._bus.js.get_msg(stream, seq=middle, subject=pattern, next=True)
            if _said(kind, found).captured_at < captured_at:
                low = (found.seq or middle) + 1
            else:
                high = middle
        return min(low, last)

    async def _subjects(self, kind: RunKind, pattern: str) -> dict[str, int]:
        """The subjects that hold something, each with the number of its messages."""
        info = await self._bus.js.stream_info(_stream(kind).name, subjects_filter=pattern)
        return dict(info.state.subjects or {})


def _stream(kind: RunKind) -> Stream:
    return RECORDED if kind is RunKind.FRAMES else DETECTIONS


def _pattern(kind: RunKind, camera: str) -> str:
    """All that is stored of a camera, whichever store it hung in."""
    return recorded(LIVE, "*", camera) if kind is RunKind.FRAMES else detections(LIVE, "*", camera)


def _said(kind: RunKind, msg: RawStreamMsg) -> FrameHeader | Detections:
    """What a message says of its frame."""
    return (
        FrameHeader.from_headers(msg.headers)
        if kind is RunKind.FRAMES
        else Detections.model_validate_json(msg.data or b"")
    )


def now_ns() -> int:
    """The present moment, ns UTC."""
    return to_ns(datetime.now(UTC))
