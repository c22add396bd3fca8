"""Completion of a run: all its crossings are in the database once persistence has acked the ends of its sessions.

Persistence acks a message after the commit that holds it, and the end of a session only after the session's crossings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from contracts.events import CROSSING_EVENT, SessionEnd
from contracts.runs import Run
from contracts.streams import Owner, run_streams
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer

POLL_INTERVAL = 0.1
"""Seconds between questions for the last ack: the broker has no event for it."""


async def wait_until_stored(bus: Bus, run: Run, sessions: Collection[tuple[str, str]]) -> None:
    """Wait until all crossings of a run are in the database.

    Args:
        bus: the connection.
        run: with its streams.
        sessions: (camera, session) of each session of the run.
    """
    last = await _last_end(bus, run, set(sessions))
    while await _acked(bus, run) < last:  # noqa: ASYNC110  # the broker has no event for it
        await asyncio.sleep(POLL_INTERVAL)


async def _last_end(bus: Bus, run: Run, open_sessions: set[tuple[str, str]]) -> int:
    """Wait for the ends of all sessions. Returns the position of the last one in the stream."""
    position = 0
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    async with OrderedConsumer(bus, run_streams(run.name).crossings.name, config) as reader:
        while open_sessions:
            msg = await reader.next()
            with suppress(ValidationError):  # persistence puts it among the dead letters
                event = CROSSING_EVENT.validate_json(msg.data)
                if isinstance(event, SessionEnd):
                    open_sessions.discard((event.camera, event.session))
                    position = msg.metadata.sequence.stream
    return position


async def _acked(bus: Bus, run: Run) -> int:
    """Return the position up to which persistence has acked the run's crossings; −1 while it is not known."""
    try:
        info = await bus.js.consumer_info(run_streams(run.name).crossings.name, Owner.PERSISTENCE)
    except (NatsError, TimeoutError, OSError):
        return -1  # it has not begun, or the broker is away
    return info.ack_floor.stream_seq if info.ack_floor is not None else -1
