"""The real API in the test's own process, on a free port, with a clock that the test sets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
from sqlalchemy.pool import NullPool, Pool

from contracts import subjects
from contracts.events import Counts, Crossing, Status, TrackBox, Tracks
from contracts.identity import LIVE, Direction, to_ns
from services.api.app import create_app
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.api.database import open_engine
from services.api.settings import ApiSettings
from services.api.state import AppState
from services.kit.database.totals import totals
from services.kit.http.limits import Limits
from services.kit.http.server import Server
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.kit.vault import Vault
from services.persistence.writer import Writer
from tests.persistence.builders import crossing

SOON = 5.0
PATIENCE = 20.0
"""Seconds that an answer may take on a machine with much else to do."""
BUFFER = 1 << 16
"""Bytes that the kernel keeps of an answer that nobody takes; left to itself it takes tens of megabytes in."""
SECRET_KEY = "a secret key that only tests have"
VAULT = Vault(SECRET_KEY)
BROWSER = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
"""What a browser says of a request of one of our own pages; programs do not, and are no local user."""


@dataclass
class FakeClock:
    """Stands still until it is set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class SentEvent:
    """A server-sent event."""

    kind: str
    id: str | None
    data: Any


def boxes(seq: int = 1, store: str = "shop", camera: str = "door") -> Tracks:
    """One person in a frame, as the tracker shows them."""
    person = TrackBox(track=7, box=(10, 20, 30, 80), score=0.9)
    return Tracks(
        run=LIVE,
        store=store,
        camera=camera,
        session="s",
        seq=seq,
        captured_at=to_ns(datetime(2026, 11, 23, 8, 20, tzinfo=UTC)),
        width=640,
        height=360,
        tracks=(person,),
    )


class Follower:
    """A browser's side of a live stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._events = self._read()

    async def next(self, *kinds: str) -> SentEvent:
        """The next event of one of the kinds; of any but the heartbeat where none is named."""
        async with asyncio.timeout(SOON):
            async for event in self._events:
                if event.kind in kinds or (not kinds and event.kind != "heartbeat"):
                    return event
        raise AssertionError("the stream has ended")

    async def end(self) -> None:
        """Wait until the API ends the stream."""
        async with asyncio.timeout(SOON):
            async for _ in self._events:
                pass

    async def _read(self) -> AsyncIterator[SentEvent]:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "event" in fields:
                yield SentEvent(fields["event"], fields.get("id"), json.loads(fields["data"]))
                fields = {}


@dataclass
class Served:
    """The running API, and what a test does around it."""

    client: httpx.AsyncClient
    parts: AppState
    clock: FakeClock
    bus: Bus
    """Of somebody who may do everything, ingest's streams included."""
    pool: asyncpg.Pool
    """Of persistence."""
    database_url: str
    """Of the api."""

    async def set_up(self, camera: str = "door", **said: object) -> int:
        """A camera in the configuration."""
        line = {"id": "entrance", "x1": 0.5, "y1": 0.0, "x2": 0.5, "y2": 1.0}
        fields = {"address": "sim://door", "store": "shop", "lines": [line], "model": "motion", **said}
        return await ensure_camera(self.database_url, CameraSetup.model_validate({"camera": camera, **fields}), VAULT)

    async def count(self, *crossings: Crossing) -> None:
        """Commit crossings as persistence does, announcing nothing."""
        await Writer(self.pool).write(list(crossings))

    async def cross(self, seqs: Sequence[int], direction: Direction = Direction.IN, at: datetime | None = None) -> None:
        """Commit crossings of the camera `door` at a moment, the present one unless told."""
        await self.count(*[crossing(seq, at=at or self.clock(), direction=direction) for seq in seqs])

    async def announce(self, store: str = "shop") -> Counts:
        """Publish a store's totals as persistence does after a commit."""
        counts = await totals(self.pool, LIVE, store, self.clock())
        await self.bus.client.publish(subjects.counts(LIVE, store), counts.encode())
        await self.bus.client.flush()
        return counts

    async def say(self, status: Status) -> None:
        """Publish a status as a service does."""
        subject = subjects.status(LIVE, status.store, status.camera, status.service)
        await self.bus.publish(subject, status.encode())

    async def show(self, tracks: Tracks) -> None:
        """Publish the boxes of a frame as the tracker does."""
        await self.bus.client.publish(subjects.tracks(LIVE, tracks.store, tracks.camera), tracks.encode())
        await self.bus.client.flush()

    @asynccontextmanager
    async def follow(self, store: str = "shop", **headers: str) -> AsyncIterator[Follower]:
        """Open a store's live stream."""
        async with self.listen(f"/v1/stores/{store}/events", headers) as stream:
            yield stream

    @asynccontextmanager
    async def listen(self, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Follower]:
        """Open a live stream."""
        async with self.client.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield Follower(response)


@asynccontextmanager
async def serving(
    settings: ServiceSettings,
    database_url: str,
    clock: FakeClock,
    poolclass: type[Pool] = NullPool,
    /,
    limits: Limits | None = None,
    **said: object,
) -> AsyncIterator[AppState]:
    """Run the API; yields its components, of which `settings.port` is where it answers."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # without it asyncio leaves Nagle on: 40 ms an answer
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        quick = dict.fromkeys(("reread_seconds", "heartbeat_seconds", "recheck_seconds"), 0.1)
        where = {"port": port, "database_url": database_url}
        given = where | quick | {"secret_key": SECRET_KEY, "local_access": "viewer"} | said
        engine = open_engine(database_url, poolclass=poolclass)
        told = ApiSettings.model_validate(settings.model_dump() | given)
        app = create_app(told, clock, engine)
        server = Server(app, told, limits, grace=2)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield app.state.components
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def replica(
    settings: ServiceSettings, database_url: str, clock: FakeClock, **said: object
) -> AsyncIterator[httpx.AsyncClient]:
    """One more API, where everybody signs in unless told; yields who asks it."""
    given: dict[str, Any] = {"local_access": "none", **said}
    async with serving(settings, database_url, clock, **given) as parts:
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            await until_ready(client)
            yield client


async def until_ready(client: httpx.AsyncClient) -> None:
    """Wait for the API to answer, its bus and database included."""
    async with asyncio.timeout(3 * PATIENCE):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
