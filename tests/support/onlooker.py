"""Somebody who looks on from outside: the frames and tracks of live cameras as they pass, and who holds which lease."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.msg import Msg

from contracts.events import Tracks
from contracts.frames import FrameHeader
from contracts.identity import LIVE
from contracts.streams import LEASES, Owner
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """A frame's header, and when it passed (seconds, monotonic)."""

    header: FrameHeader
    at: float


@dataclass(frozen=True, slots=True)
class SeenTracks:
    """The people of a frame, and when they passed (seconds, monotonic)."""

    tracks: Tracks
    at: float


class Onlooker:
    """The messages that have passed so far. Frames of files are not seen: they have one reader."""

    def __init__(self) -> None:
        self.frames: defaultdict[str, list[SeenFrame]] = defaultdict(list)
        self.tracks: defaultdict[str, list[SeenTracks]] = defaultdict(list)
        self.holders: dict[str, str] = {}
        """Who does a piece of work (`ingest.piece.door`), as last heard; one that is handed over still has its old."""
        self.moved_at: dict[str, float] = {}

    def parts(self, owner: Owner) -> Counter[str]:
        """The number of pieces that each replica of a service does."""
        return Counter(holder for key, holder in self.holders.items() if key.startswith(f"{owner}."))

    def even(self, owner: Owner, names: list[str], pieces: int) -> bool:
        """Tell whether these replicas, and no others, do all pieces in equal parts."""
        each, rest = divmod(pieces, len(names))
        parts = self.parts(owner)
        return set(parts) <= set(names) and sorted(parts[name] for name in names) == (
            [each] * (len(names) - rest) + [each + 1] * rest
        )

    async def see_frame(self, msg: Msg) -> None:
        """A live frame passes."""
        header = FrameHeader.from_headers(msg.headers)
        self.frames[header.camera].append(SeenFrame(header, time.monotonic()))

    async def see_tracks(self, msg: Msg) -> None:
        """The tracks of a frame pass."""
        tracks = Tracks.model_validate_json(msg.data)
        self.tracks[tracks.camera].append(SeenTracks(tracks, time.monotonic()))

    async def follow_leases(self, bus: Bus) -> None:
        """Hear of every lease that is taken, for ever."""
        async for entry in watch(bus, LEASES, "*.piece.*"):
            holder = entry.value.decode() if entry.value else None
            if holder is not None and self.holders.get(entry.key) != holder:
                self.holders[entry.key], self.moved_at[entry.key] = holder, time.monotonic()


@asynccontextmanager
async def onlooking(bus: Bus) -> AsyncIterator[Onlooker]:
    """An onlooker, for as long as the context lasts."""
    onlooker = Onlooker()
    subscriptions = [
        await bus.client.subscribe(f"metrica.{LIVE}.frames.>", cb=onlooker.see_frame),
        await bus.client.subscribe(f"metrica.{LIVE}.tracks.>", cb=onlooker.see_tracks),
    ]
    await bus.client.flush()
    leases = asyncio.create_task(onlooker.follow_leases(bus))
    try:
        yield onlooker
    finally:
        leases.cancel()
        await asyncio.gather(leases, return_exceptions=True)
        for subscription in subscriptions:
            await subscription.unsubscribe()
