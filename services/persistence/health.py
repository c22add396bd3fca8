"""The history of cameras' health: from the STATUS stream into the database, beside the crossings, never in their way.

Kept is what is news: a state or message that is another than the service's word before. Not news is what a service says
again, nor that it starts once more what was in trouble: else a camera that is away for a night would fill a page with
its tries. Each replica reads the whole stream, from its beginning after each start, in its order; what is in already
adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.events import State, Status
from contracts.identity import to_datetime
from contracts.streams import STATUS
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.camera_status import EVERY_STATUS, read_status
from services.kit.nats.consumer import Reader
from services.persistence.database_errors import in_words, write_all

FROM_THE_BEGINNING = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, filter_subject=EVERY_STATUS)
BATCH = 200
LINGER = 0.5
"""Seconds that a word may wait for others, to be written with them."""

TROUBLE = (State.RETRYING, State.REFUSED, State.NO_MODEL)
"""What is tried again until it works."""

# A camera that is no more, or another store's by now, has no history.
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
    """Follow the stream for ever. While the database is away it waits, and nothing else with it."""
    async with Reader(bus, STATUS.name, FROM_THE_BEGINNING, ahead=2 * BATCH) as reader:
        while True:
            msgs = await reader.batch(BATCH, linger=LINGER)
            await write_health(pool, [status for msg in msgs if (status := read_status(msg)) is not None])


async def write_health(pool: asyncpg.Pool, statuses: Sequence[Status]) -> None:
    """Write what is news of statuses, which come in the order in which they were said.

    Returns once all that can be stored is committed, however long that takes. One that can never be is passed over.
    """
    told = False

    async def insert(part: Sequence[Status]) -> None:
        await pool.executemany(_INSERT, [_row(status) for status in part])

    def refuse(status: Status, reason: str) -> None:
        log.warning("a status cannot be kept", camera=status.camera, reason=reason)

    def unable(_: Sequence[Status], error: Exception) -> None:
        nonlocal told
        if not told:
            log.warning("the cameras' health waits for the database", reason=in_words(error))
            told = True

    await write_all(statuses, insert, refuse=refuse, unable=unable)


def _row(status: Status) -> tuple[object, ...]:
    return (
        *(status.store, status.camera, status.service, to_datetime(status.at)),
        *(status.state, status.message, status.session, TROUBLE, State.STARTING),
    )
