"""The API asked within the test's own process, without a bus and a server: what history needs, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import asyncpg
import httpx

from contracts.events import Crossing
from contracts.identity import Direction, to_ns
from services.api.access.principal import Principal, Role
from services.api.app import create_app
from services.api.auth.dependencies import principal
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.api.clock import Clock
from services.api.settings import ApiSettings
from services.persistence.writer import Writer
from tests.api.served import SECRET_KEY, FakeClock
from tests.persistence.builders import coverage, crossing


@dataclass
class Asked:
    """The API, what persistence has written, and the time that it is."""

    client: httpx.AsyncClient
    clock: FakeClock
    pool: asyncpg.Pool
    """Of persistence."""
    database_url: str
    """Of the api."""
    _seqs: Iterator[int] = field(default_factory=count)

    async def set_up(self, store: str = "shop", **said: object) -> None:
        """A store in the configuration; `opening_hours` and the like are columns of its table."""
        columns = {name: said.pop(name) for name in ("opening_hours", "capacity", "occupancy_reset") if name in said}
        fields = {"camera": f"{store}-door", "address": "sim://door", "store": store, "model": "motion", **said}
        await ensure_camera(self.database_url, CameraSetup.model_validate(fields))
        for name, value in columns.items():
            await self.pool.execute(f"UPDATE store SET {name} = $2 WHERE id = $1", store, value)

    async def count(self, *crossings: Crossing) -> None:
        """Commit crossings as persistence does."""
        await Writer(self.pool).write(list(crossings))

    async def cross(self, ins: int, outs: int = 0, *, at: datetime, **said: Any) -> None:  # noqa: ANN401  # of a crossing
        """People go in and out at a moment; a batch of its own."""
        directions = [Direction.IN] * ins + [Direction.OUT] * outs
        await self.count(*[crossing(next(self._seqs), at=at, direction=direction, **said) for direction in directions])

    async def cover(self, start: datetime, until: datetime, **fields: Any) -> None:  # noqa: ANN401  # of a coverage
        """Lines are counted without a gap between two moments."""
        start_ns, until_ns = to_ns(start), to_ns(until)
        interval = coverage(0, 0, **fields).model_copy(update={"start": start_ns, "until": until_ns})
        await Writer(self.pool).write([interval])

    async def get(self, url: str, **query: object) -> Any:  # noqa: ANN401  # JSON
        """The answer of a GET that succeeds. A parameter that Python would not take ends with `_`."""
        answer = await self.client.get(url, params=_params(query))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, url: str, **query: object) -> str:
        """The problem in the answer to a GET that is refused as wrong."""
        answer = await self.client.get(url, params=_params(query))
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
        return str(answer.json()["detail"])


@asynccontextmanager
async def asking(database_url: str, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API in this process, who may correct what is counted."""
    app = create_app(ApiSettings.model_validate({"database_url": database_url, "secret_key": SECRET_KEY}), clock)
    app.dependency_overrides[principal] = lambda: Principal("somebody at this machine", everywhere=Role.MANAGER)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await app.state.components.sessions.kw["bind"].dispose()


def _params(query: dict[str, object]) -> dict[str, str]:
    return {name.rstrip("_"): str(value) for name, value in query.items()}
