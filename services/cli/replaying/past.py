"""What was: the detections and recorded frames that the broker still holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, RawStreamMsg
from nats.js.errors import KeyNotFoundError, NotFoundError

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy, to_datetime, to_ns
from contracts.runs import RunKind
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import CAMERAS, DETECTIONS, RECORDED, Stream
from contracts.subjects import detections, parse, recorded
from services.kit.bus import Bus
from services.kit.reader import Reader

AROUND = timedelta(minutes=1)
"""Before and behind a period what is stored is looked through: detections may be late, and clocks differ."""
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
            first=min(_captured_at(kind, first.data, first.headers) for first, _ in ends),
            last=max(_captured_at(kind, last.data, last.headers) for _, last in ends),
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
        async for msg in self._messages(RunKind.DETECTIONS, camera, begin, until, follow=follow):
            yield Detections.model_validate_json(msg.data), to_ns(msg.metadata.timestamp)

    async def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """See `Past`."""
        async for msg in self._messages(RunKind.FRAMES, camera, begin, until):
            yield FrameHeader.from_headers(msg.headers), msg.data

    async def _messages(
        self, kind: RunKind, camera: str, begin: int, until: int, *, follow: bool = False
    ) -> AsyncIterator[Msg]:
        stream = _stream(kind)
        try:
            last = await self._bus.js.get_last_msg(stream.name, _pattern(kind, camera))
        except NotFoundError:
            if not follow:
                return
            last = RawStreamMsg()  # nothing yet
        config = ConsumerConfig(filter_subject=_pattern(kind, camera), deliver_policy=DeliverPolicy.ALL)
        start, stop = to_datetime(begin) - AROUND, to_datetime(until) + AROUND
        live = last.seq is not None and _policy(kind, last.data, last.headers) is Policy.LATEST
        if live:
            # Of a live camera, what was captured then was stored then. A file may be of any time.
            config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, start
            if last.time is not None and last.time < start and not follow:
                return
        async with Reader(self._bus, stream.name, config, ahead=2 * BATCH) as reader:
            while True:
                for msg in await reader.batch(BATCH):
                    if live and msg.metadata.timestamp > stop:
                        return
                    yield msg
                    if msg.metadata.sequence.stream >= (last.seq or 0) and not follow:
                        return

    async def _subjects(self, kind: RunKind, pattern: str) -> dict[str, int]:
        """The subjects that hold something, each with the number of its messages."""
        info = await self._bus.js.stream_info(_stream(kind).name, subjects_filter=pattern)
        return dict(info.state.subjects or {})


def _stream(kind: RunKind) -> Stream:
    return RECORDED if kind is RunKind.FRAMES else DETECTIONS


def _pattern(kind: RunKind, camera: str) -> str:
    """All that is stored of a camera, whichever store it hung in."""
    return recorded(LIVE, "*", camera) if kind is RunKind.FRAMES else detections(LIVE, "*", camera)


def _captured_at(kind: RunKind, data: bytes | None, headers: dict[str, str] | None) -> int:
    if kind is RunKind.FRAMES:
        return FrameHeader.from_headers(headers).captured_at
    return Detections.model_validate_json(data or b"").captured_at


def _policy(kind: RunKind, data: bytes | None, headers: dict[str, str] | None) -> Policy:
    if kind is RunKind.FRAMES:
        return FrameHeader.from_headers(headers).policy
    return Detections.model_validate_json(data or b"").policy


def now_ns() -> int:
    """The present moment, ns UTC."""
    return to_ns(datetime.now(UTC))
