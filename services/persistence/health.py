"""The history of cameras' health: writes the STATUS stream to the database, independently of the crossings.

Only changes are stored: a status with another state or message than the service's previous one. Repeats, and a restart
after an error state, are skipped; otherwise a camera that is away for a night would fill a page with its tries. Each
replica reads the whole stream, in its order, from the beginning after each start; statuses that are stored already add
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.events import State, Status
from contracts.identity import to_datetime
from contracts.streams import STATUS
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.camera_status import EVERY_STATUS, read_status
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.subscribers import jetstream_subscriber
from services.persistence.database_errors import in_words, write_all

FROM_THE_BEGINNING = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, filter_subject=EVERY_STATUS)
BATCH = 200
LINGER = 0.5
"""Seconds that a status may wait for others, to be written with them."""

TROUBLE = (State.RETRYING, State.REFUSED, State.NO_MODEL)
"""Error states, in which a service tries again."""

# Statuses of a camera that was deleted, or moved to another store, are dropped.
_INSERT = """
INSERT INTO camera_health (camera, service, at, state, message, session)
SELECT c.id, $3::text, $4::timestamptz, $5::text, $6::text, $7::text FROM camera c
WHERE c.store = $1::text AND c.id = $2::text AND NOT EXISTS (
    SELECT FROM (
        SELECT state, message FROM camera_health
        WHERE camera = $2::text AND service = $3::text AND at <= $4::timestamptz ORDER BY at DESC LIMIT 1
    ) before
    WHERE (before.state, before.message) = ($5::text, $6::text)
       OR (before.state = ANY($8::text[]) AND $5::text = $9::text)
)
ON CONFLICT DO NOTHING
"""

log = logger()


async def keep_health(bus: Bus, pool: asyncpg.Pool) -> None:
    """Follow the stream for ever. During an outage of the database it waits, without delaying other work."""
    statuses = jetstream_subscriber(bus.broker, STATUS)

    @statuses
    async def write(messages: list[Msg]) -> None:
        await write_health(pool, [status for msg in messages if (status := read_status(msg)) is not None])

    async with statuses, OrderedConsumer(bus, STATUS.name, FROM_THE_BEGINNING, ahead=2 * BATCH) as consumer:
        while True:
            await statuses.deliver(await consumer.batch(BATCH, linger=LINGER))


async def write_health(pool: asyncpg.Pool, statuses: Sequence[Status]) -> None:
    """Write the changes among statuses, in the order of the stream.

    Returns once they are committed, after any outage of the database. A status that can never be stored is skipped.
    """
    logged = False

    async def insert(part: Sequence[Status]) -> None:
        await pool.executemany(_INSERT, [_row(status) for status in part])

    def refuse(status: Status, reason: str) -> None:
        log.warning("a status cannot be kept", camera=status.camera, reason=reason)

    def unable(_: Sequence[Status], error: Exception) -> None:
        nonlocal logged
        if not logged:
            log.warning("the cameras' health waits for the database", reason=in_words(error))
            logged = True

    await write_all(statuses, insert, refuse=refuse, unable=unable)


def _row(status: Status) -> tuple[object, ...]:
    return (
        *(status.store, status.camera, status.service, to_datetime(status.at)),
        *(status.state, status.message, status.session, TROUBLE, State.STARTING),
    )
