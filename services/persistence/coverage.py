"""Coverage in Postgres: the intervals in which lines were counted, each a row that grows; repeats change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg

from contracts.events import Coverage
from contracts.identity import to_datetime

# An interval's end only grows, so that messages may come in any order and again.
_ADD = """
INSERT INTO coverage AS c (run, store, camera, line, start, until)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (run, store, camera, line, start) DO UPDATE SET until = excluded.until WHERE c.until < excluded.until
"""


async def add_coverage(connection: asyncpg.Connection, events: Iterable[Coverage]) -> None:
    """Add intervals, or let those that are known grow. The connection must be inside a transaction."""
    until: dict[tuple[str, str, str, str, datetime], datetime] = {}
    for event in events:
        for line in event.lines:
            key = event.run, event.store, event.camera, line, to_datetime(event.start)
            until[key] = max(to_datetime(event.until), until.get(key, to_datetime(event.start)))
    keys = sorted(until)  # so that two writers of the same rows cannot deadlock
    if keys:
        await connection.execute(_ADD, *map(list, zip(*keys, strict=True)), [until[key] for key in keys])
