"""Connection of the command line to the NATS server of a running Metrica."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from services.cli.console.errors import CommandError

if TYPE_CHECKING:
    from services.kit.nats.bus import Bus

CONNECT_TIMEOUT = 3.0
"""Seconds to wait for NATS to answer."""


@asynccontextmanager
async def running_bus() -> AsyncIterator[Bus]:
    """Connect by METRICA_NATS_URL, METRICA_NATS_USER and METRICA_NATS_PASSWORD.

    Raises:
        CommandError: the server does not answer, or rejects this user.
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
        raise CommandError(str(error)) from error
    probe = SturdyClient()
    try:  # the bus itself would wait for ever
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await probe.connect(
                settings.nats_url, **access, allow_reconnect=False, max_reconnect_attempts=0, error_cb=_ignore
            )
        await probe.close()
    except (NatsError, OSError, TimeoutError) as error:
        reason = refusal_of(error, settings.nats_user or "nobody") or str(error) or "nobody answers"
        raise CommandError(
            f"NATS at {settings.nats_url} cannot be used: {reason}; `./taskw up` writes "
            "METRICA_NATS_URL, METRICA_NATS_USER and METRICA_NATS_PASSWORD into .metrica/developer.env"
        ) from error
    with _log_warnings_only():
        bus = await Bus(settings, "metrica").start()
        try:
            yield bus
        finally:
            await bus.stop()


@contextmanager
def _log_warnings_only() -> Iterator[None]:
    """Keep the connection's log lines below a warning out of a command's output."""
    import structlog

    before = structlog.get_config()
    logger = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=logger, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


async def _ignore(_: Exception) -> None:
    """Leave the report of an error to the caller, so that it is printed once."""
