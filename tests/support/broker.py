"""A bus on the test's own NATS server, and waiting for what it will show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import TypeVar

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import PubAck

from contracts.streams import BUCKETS, STREAMS, Owner
from contracts.subjects import Kind, parse
from infra.local.stack import Stack
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings

T = TypeVar("T")


def settings_of(stack: Stack) -> ServiceSettings:
    """The settings of somebody who may do everything in a running stack."""
    user = stack.nats_environment
    return ServiceSettings(
        nats_url=stack.nats_url, nats_user=user["METRICA_NATS_USER"], nats_password=user["METRICA_NATS_PASSWORD"]
    )


@asynccontextmanager
async def connected(
    settings: ServiceSettings, owner: Owner | None = None, *, everything: bool = False
) -> AsyncIterator[Bus]:
    """A bus that is connected and has declared what its owner owns, or everything there is."""
    bus = Bus(settings, "test", owner)
    if everything:
        bus._streams, bus._buckets = STREAMS, BUCKETS
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@asynccontextmanager
async def jetstream(stack: Stack) -> AsyncIterator[JetStreamContext]:
    """The JetStream of a running stack, for somebody who may do everything."""
    environment = stack.nats_environment
    client = await nats.connect(
        stack.nats_url, user=environment["METRICA_NATS_USER"], password=environment["METRICA_NATS_PASSWORD"]
    )
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def eventually(look: Callable[[], Awaitable[T]], within: float = 15.0) -> T:
    """The first true result of a look; its errors in between are what it waits out."""
    deadline = time.monotonic() + within
    while True:
        seen: T | Exception
        try:
            seen = await look()
        except (NatsError, TimeoutError, OSError, LookupError) as error:
            seen = error
        if seen and not isinstance(seen, Exception):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen within {within:g} s; last: {seen!r}")
        await asyncio.sleep(0.02)


async def stored(bus: Bus, stream: str, kind: Kind | None = None, *, after: int = 0) -> list[bytes]:
    """The bodies of all messages in a stream after a sequence number, or of one kind of them, in order."""
    state = (await bus.js.stream_info(stream)).state
    found = []
    for seq in range(max(after + 1, state.first_seq), state.last_seq + 1):
        msg = await bus.js.get_msg(stream, seq)
        if kind is None or parse(msg.subject or "").kind is kind:
            found.append(msg.data or b"")
    return found


Write = Callable[[], Awaitable[PubAck]]


def intercept(bus: Bus, hook: Callable[[int, Write], Awaitable[PubAck]]) -> None:
    """Put a hook before each write of a connection, to a stream or a bucket: it gets its number from 1, and does it."""
    publish: Callable[..., Awaitable[PubAck]] = type(bus.js).publish
    numbers = count(1)

    async def hooked(*args: object, **kwargs: object) -> PubAck:
        return await hook(next(numbers), lambda: publish(bus.js, *args, **kwargs))

    bus.js.publish = hooked  # type: ignore[method-assign]  # of this connection alone
