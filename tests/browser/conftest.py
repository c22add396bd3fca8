"""The real API in a process of its own, on real servers, and what the services would do around it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

from contracts import subjects
from contracts.events import State, Status, TrackBox, Tracks
from contracts.frames import FrameHeader
from contracts.identity import LIVE, Direction, Policy, to_ns
from contracts.streams import Owner
from infra.local.ports import free_port
from infra.local.processes.nats import NatsServer
from services.api.auth.first_admin import set_password
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.kit.database.totals import totals
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.persistence.health import write_health
from services.persistence.writer import Writer
from tests.api.served import SECRET_KEY, VAULT
from tests.persistence.builders import coverage, crossing

LINE = {"id": "entrance", "x1": 0.2, "y1": 0.5, "x2": 0.8, "y2": 0.5, "in_side": "right"}
WIDTH, HEIGHT = 640, 360


@dataclass
class Shop:
    """A running Metrica as a browser sees it: the API is real, the other services are played by the test."""

    settings: ServiceSettings
    database_url: str
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _seq: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Start the API and wait for it."""
        environment = {**os.environ, **self.environment, "METRICA_PORT": str(self.port)}
        self._process = subprocess.Popen([sys.executable, "-m", "services.api"], env=environment)
        deadline = datetime.now(UTC).timestamp() + 60
        while datetime.now(UTC).timestamp() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                assert self._process.poll() is None, "the API died"
        raise AssertionError("the API is not ready after 60 s")

    def stop(self) -> None:
        """Stop the API as an operator does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def set_up(self, camera: str = "door", **said: object) -> None:
        """A camera in the configuration."""
        fields = {
            "address": "rtsp://door",
            "store": "shop",
            "store_name": "The Shop",
            "lines": [LINE],
            "model": "motion",
        }
        setup = CameraSetup.model_validate({"camera": camera, **fields, **said})
        _run(ensure_camera(self.environment["METRICA_DATABASE_URL"], setup, VAULT))

    def remove_camera(self, camera: str) -> None:
        """Take a camera out of its store; its counts stay."""

        async def remove() -> None:
            connection = await asyncpg.connect(self.database_url)
            await connection.execute("DELETE FROM line WHERE camera = $1", camera)
            await connection.execute("DELETE FROM camera WHERE id = $1", camera)
            await connection.close()

        _run(remove())

    def make_user(self, email: str, password: str) -> None:
        """Somebody who may see everything."""
        _run(set_password(self.environment["METRICA_DATABASE_URL"], email, password, superadmin=True))

    def cross(self, number: int, direction: Direction = Direction.IN, *, ago: timedelta = timedelta()) -> None:
        """Commit crossings of now, or of so long ago, and announce the totals, as persistence does."""

        async def commit(bus: Bus) -> None:
            now = datetime.now(UTC)
            rows = [crossing(self._seq + n, at=now - ago, direction=direction) for n in range(number)]
            self._seq += number
            async with asyncpg.create_pool(self.database_url, min_size=1, max_size=1) as pool:
                await Writer(pool).write(rows)
                counts = await totals(pool, LIVE, "shop", now)
            await bus.client.publish(subjects.counts(LIVE, "shop"), counts.encode())

        self._on_bus(commit)

    def cover(self, start: datetime, until: datetime) -> None:
        """Report that the door was counted between two moments, as the tracker does."""
        interval = coverage(0, 0).model_copy(update={"start": to_ns(start), "until": to_ns(until)})

        async def commit() -> None:
            async with asyncpg.create_pool(self.database_url, min_size=1, max_size=1) as pool:
                await Writer(pool).write([interval])

        _run(commit())

    def mark_as_demo(self) -> None:
        """Say that what is counted here is invented."""

        async def mark() -> None:
            connection = await asyncpg.connect(self.database_url)
            await connection.execute("UPDATE organization SET demo = true")
            await connection.close()

        _run(mark())

    def say(self, service: str, state: State, message: str = "") -> None:
        """A service says how the camera does."""
        status = _status(service, state, message)
        subject = subjects.status(LIVE, "shop", "door", service)

        async def publish(bus: Bus) -> None:
            await bus.publish(subject, status.encode())

        self._on_bus(publish)

    def remember(self, service: str, state: State, message: str = "", *, ago: timedelta) -> None:
        """Store what a service said of the camera so long ago, as persistence does."""

        async def write() -> None:
            async with asyncpg.create_pool(self.database_url, min_size=1, max_size=1) as pool:
                await write_health(pool, [_status(service, state, message, ago=ago)])

        _run(write())

    def see(self, seq: int) -> None:
        """The camera sends a picture, and the tracker the person in it."""
        now = to_ns(datetime.now(UTC))
        header = FrameHeader(
            run=LIVE,
            store="shop",
            camera="door",
            session="s1",
            seq=seq,
            captured_at=now,
            width=WIDTH,
            height=HEIGHT,
            spec_revision=1,
            policy=Policy.LATEST,
        )
        picture = np.full((HEIGHT, WIDTH, 3), (70, 120, 60), np.uint8)
        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
        event = Tracks(
            **header.model_dump(include={"run", "store", "camera", "session", "seq", "captured_at", "width", "height"}),
            tracks=(TrackBox(track=12, box=(200, 90, 280, 300), score=0.9),),
        )

        async def publish(bus: Bus) -> None:
            await bus.publish(subjects.preview(LIVE, "shop", "door"), jpeg, headers=header.to_headers())
            await bus.client.publish(subjects.tracks(LIVE, "shop", "door"), event.encode())

        self._on_bus(publish)

    def _on_bus(self, work: Callable[[Bus], Awaitable[None]]) -> None:
        async def run() -> None:
            bus = await Bus(self.settings, "test", Owner.INGEST).start()
            try:
                await work(bus)
            finally:
                await bus.stop()

        _run(run())


def _status(service: str, state: State, message: str, *, ago: timedelta = timedelta()) -> Status:
    at = to_ns(datetime.now(UTC) - ago)
    return Status(run=LIVE, store="shop", camera="door", service=service, state=state, message=message, at=at)


def _run(work: Coroutine[Any, Any, object]) -> None:
    """Run something to its end, on another thread: Playwright's event loop runs on this one."""
    with ThreadPoolExecutor() as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture
def shop(
    settings: ServiceSettings, nats_server: NatsServer, database_url: str, api_database_url: str
) -> Iterator[Shop]:
    environment = {
        "METRICA_NATS_URL": nats_server.url,
        "METRICA_NATS_USER": Owner.API.value,
        "METRICA_NATS_PASSWORD": nats_server.passwords[Owner.API.value],
        "METRICA_DATABASE_URL": api_database_url,
        "METRICA_LOG_FORMAT": "text",
        "METRICA_LOCAL_ACCESS": "viewer",
        "METRICA_SECRET_KEY": SECRET_KEY,
    }
    running = Shop(settings, database_url, environment)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def page(page: Page, shop: Shop) -> Iterator[Page]:
    """The page, watched: its script fails nowhere, keeps to its policy, and asks nobody but the API."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda request: wrong.append(request.url) if not _own(request.url, shop) else None)
    yield page
    assert not wrong


def _own(url: str, shop: Shop) -> bool:
    return url.startswith((shop.url, "blob:", "data:"))
