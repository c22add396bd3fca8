"""Doors of the API for tests of signing in: replicas in this process, asked from any address, with or without TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pyotp
from fastapi import FastAPI
from sqlalchemy.pool import NullPool

from services.api.app import create_app
from services.api.auth.limits.attempts import PER_ACCOUNT
from services.api.database import open_engine
from services.api.settings import ApiSettings
from tests.api.seeded import PASSWORD
from tests.api.served import SECRET_KEY, FakeClock

HERE = {"Sec-Fetch-Site": "same-origin"}
ME, IN = "/v1/auth/me", "/v1/auth/sign-in"
FACTOR = "/v1/auth/second-factor"
VIEWER = "viewer@acme"
OWN, ELSEWHERE = "192.0.2.7", "203.0.113.9"


class Doors:
    """Opens clients; each is a browser or a program of its own."""

    def __init__(self, database_url: str, clock: FakeClock, stack: AsyncExitStack) -> None:
        self._database_url, self.clock, self._stack = database_url, clock, stack
        self._apps: dict[str, FastAPI] = {}

    async def client(
        self, address: str = OWN, *, scheme: str = "http", replica: str = "first", **said: object
    ) -> httpx.AsyncClient:
        """A new client. `said` are settings of its replica."""
        transport = httpx.ASGITransport(self._app(replica, said), client=(address, 1))
        client = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://localhost", headers=HERE)
        return await self._stack.enter_async_context(client)

    def _app(self, replica: str, said: dict[str, object]) -> FastAPI:
        if replica not in self._apps:
            settings = {"database_url": self._database_url, "secret_key": SECRET_KEY, **said}
            engine = open_engine(self._database_url, poolclass=NullPool)
            self._apps[replica] = create_app(ApiSettings.model_validate(settings), self.clock, engine)
        return self._apps[replica]


@asynccontextmanager
async def doors_of(database_url: str, clock: FakeClock) -> AsyncIterator[Doors]:
    """Doors that are shut in the end."""
    async with AsyncExitStack() as stack:
        yield Doors(database_url, clock, stack)


async def sign_in(client: httpx.AsyncClient, **said: object) -> httpx.Response:
    """As viewer@acme in a browser, unless told."""
    return await client.post(IN, json={"email": VIEWER, "password": PASSWORD, **said})


async def tokens(client: httpx.AsyncClient, **said: object) -> dict[str, Any]:
    """As viewer@acme with a program, unless told."""
    answer = await sign_in(client, keep="token", **said)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def bearer(held: dict[str, Any]) -> dict[str, str]:
    """The headers of a program's requests."""
    return {"Authorization": f"Bearer {held['access_token']}"}


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Of a program."""
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def knows(client: httpx.AsyncClient, held: dict[str, Any] | None = None) -> bool:
    """Tell whether the API takes a client for a person."""
    answer = await client.get(ME, headers=bearer(held) if held else {})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def spend_tries(client: httpx.AsyncClient, **said: object) -> None:
    """Try wrong passwords until no more are looked at."""
    for _ in range(PER_ACCOUNT):
        assert (await sign_in(client, password="wrong", **said)).status_code == 401
    assert (await sign_in(client, password="wrong", **said)).status_code == 429


class Phone:
    """Somebody's authenticator app."""

    def __init__(self, secret: str, clock: FakeClock) -> None:
        self._app, self._clock = pyotp.TOTP(secret), clock

    def code(self, *, steps: int = 0) -> str:
        """The code of now, or of so many steps later."""
        return str(self._app.at(self._clock(), counter_offset=steps))

    def next(self) -> str:
        """The code of the next time step, for which the clock goes on."""
        self._clock.now += timedelta(seconds=30)
        return self.code()


async def enrol(
    client: httpx.AsyncClient, clock: FakeClock, headers: dict[str, str] | None = None, password: str = PASSWORD
) -> tuple[Phone, list[str]]:
    """Set up a second factor for who is signed in: their phone, and the recovery codes."""
    begun = await client.post(FACTOR, json={"password": password}, headers=headers)
    assert begun.status_code == 200, begun.text
    phone = Phone(begun.json()["secret"], clock)
    done = await client.post(f"{FACTOR}/confirm", json={"code": phone.code()}, headers=headers)
    assert done.status_code == 200, done.text
    return phone, done.json()["recovery_codes"]
