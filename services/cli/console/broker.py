"""The command line's connection to the NATS of a running Metrica."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from services.cli.console.errors import Refused

if TYPE_CHECKING:
    from services.kit.nats.bus import Bus

PATIENCE = 3.0
"""Seconds that NATS is given to answer."""


@asynccontextmanager
async def running_bus() -> AsyncIterator[Bus]:
    """Connect as METRICA_NATS_URL, METRICA_NATS_USER and METRICA_NATS_PASSWORD say.

    Raises:
        Refused: nobody answers there, or lets this user in.
    """
    from faststream.nats.security import parse_security
    from nats.errors import Error as NatsError

    from services.kit.nats.bus import Bus
    from services.kit.nats.connection import SturdyClient, refusal_of, security
    from services.kit.settings import ServiceSettings

    try:
        settings = ServiceSettings()
        access = parse_security(security(settings))
    except ValueError as error:
        raise Refused(str(error)) from error
    probe = SturdyClient()
    try:  # the bus itself would wait for ever
        async with asyncio.timeout(PATIENCE):
            await probe.connect(
                settings.nats_url, **access, allow_reconnect=False, max_reconnect_attempts=0, error_cb=_say_nothing
            )
        await probe.close()
    except (NatsError, OSError, TimeoutError) as error:
        reason = refusal_of(error, settings.nats_user or "nobody") or str(error) or "nobody answers"
        raise Refused(
            f"NATS at {settings.nats_url} cannot be used: {reason}; `./taskw up` writes "
            "METRICA_NATS_URL, METRICA_NATS_USER and METRICA_NATS_PASSWORD into .metrica/developer.env"
        ) from error
    with _warnings_alone():
        bus = await Bus(settings, "metrica").start()
        try:
            yield bus
        finally:
            await bus.stop()


@contextmanager
def _warnings_alone() -> Iterator[None]:
    """What the connection has to say is no part of a command's output."""
    import structlog

    before = structlog.get_config()
    logger = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=logger, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


async def _say_nothing(_: Exception) -> None:
    """What is wrong is told once, by who called."""
