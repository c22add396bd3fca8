"""The record in Postgres: crossings and ended sessions, each written once, also if its message is redelivered."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from uuid import UUID

import asyncpg

from contracts.events import Crossing, SessionEnd
from contracts.identity import to_datetime
from services.kit.logs import logger

log = logger()

Identity = tuple[str, UUID]
"""The key of a crossing: run and id. The table's key has the time, too, as its partitions require that."""

_LOCK_STORES = """
SELECT pg_advisory_xact_lock(key) FROM (
    SELECT DISTINCT hashtextextended(run || '/' || store, 7) AS key
    FROM unnest($1::text[], $2::text[]) AS n (run, store) ORDER BY key
) AS keys
"""
_INSERT_CROSSINGS = """
INSERT INTO crossing (run, id, at, at_ns, store, camera, line, line_revision, direction, session, seq, place,
                      spec_revision, model, model_sha256, model_precision)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::int[], $9::text[], $10::text[], $11::bigint[], $12::float8[], $13::int[], $14::text[],
                     $15::text[], $16::text[]) AS n (run, id)
WHERE NOT EXISTS (SELECT FROM crossing c WHERE c.run = n.run AND c.id = n.id)
ON CONFLICT DO NOTHING RETURNING run, id
"""
_ARRIVED = """
SELECT e.place, coalesce(c.crossings, 0) AS crossings
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e (run, camera, session, place)
LEFT JOIN session_count c USING (run, camera, session) ORDER BY e.place
"""
_INSERT_SESSIONS = """
INSERT INTO run_session (run, camera, session, store, reason, at, frames, skipped, missed, count)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int[],
                     $8::int[], $9::int[], $10::int[])
ON CONFLICT DO NOTHING
"""

_DELETE_RUN = (
    "DELETE FROM store_version WHERE run = $1",  # first, as every writer of the run's rows locks this one
    "DELETE FROM crossing WHERE run = $1",
    "DELETE FROM count_minute WHERE run = $1",
    "DELETE FROM count_quarter WHERE run = $1",
    "DELETE FROM count_day WHERE run = $1",
    "DELETE FROM session_count WHERE run = $1",
    "DELETE FROM run_session WHERE run = $1",
    "DELETE FROM coverage WHERE run = $1",
)


def identity(crossing: Crossing) -> Identity:
    """The key of a crossing."""
    return crossing.run, crossing.id


async def insert_crossings(connection: asyncpg.Connection, crossings: Iterable[Crossing]) -> list[Crossing]:
    """Insert crossings, of months that have partitions; returns the new ones.

    A crossing with a known id and another time, from an edge device whose clock was set or from another release, is not
    new.
    """
    by_key: dict[Identity, Crossing] = {}
    for crossing in crossings:
        by_key.setdefault(identity(crossing), crossing)
    # Two writers of one id with two times would not see each other's row, so writers of a store take turns.
    stores = {(crossing.run, crossing.store) for crossing in by_key.values()}
    await connection.execute(_LOCK_STORES, *zip(*stores, strict=True))
    # In the order of the key, so that two writers of the same rows cannot deadlock.
    rows = await connection.fetch(_INSERT_CROSSINGS, *_crossing_columns([by_key[key] for key in sorted(by_key)]))
    return [by_key[row["run"], row["id"]] for row in rows]


async def insert_ends(
    connection: asyncpg.Connection, ends: Sequence[SessionEnd], overdue: Container[SessionEnd]
) -> list[SessionEnd]:
    """Insert the ends of complete sessions, and the overdue ones; returns the ends with crossings still missing.

    Args:
        connection: inside a transaction.
        ends: in any order.
        overdue: ends to insert although crossings of their sessions are missing.
    """
    ends = sorted(ends, key=lambda end: (end.run, end.camera, end.session))
    keys = [end.run for end in ends], [end.camera for end in ends], [end.session for end in ends]
    counts = [row["crossings"] for row in await connection.fetch(_ARRIVED, *keys)]
    arrived = dict(zip(ends, counts, strict=True))
    for end in ends:
        if end in overdue and arrived[end] < end.count:
            log.warning(
                "a session is closed with crossings missing; look for them in the dead letters",
                camera=end.camera,
                session=end.session,
                crossings=arrived[end],
                expected=end.count,
            )
    complete = [end for end in ends if end in overdue or arrived[end] >= end.count]
    await connection.execute(_INSERT_SESSIONS, *_end_columns(complete))
    return [end for end in ends if end not in complete]


async def delete_run(connection: asyncpg.Connection, run: str) -> None:
    """Delete every row of a run; the connection must be inside a transaction."""
    for statement in _DELETE_RUN:
        await connection.execute(statement, run)


def _crossing_columns(crossings: Sequence[Crossing]) -> Iterable[list[object]]:
    yield [crossing.run for crossing in crossings]
    yield [crossing.id for crossing in crossings]
    yield [to_datetime(crossing.at) for crossing in crossings]
    yield [crossing.at for crossing in crossings]
    yield [crossing.store for crossing in crossings]
    yield [crossing.camera for crossing in crossings]
    yield [crossing.line for crossing in crossings]
    yield [crossing.line_revision for crossing in crossings]
    yield [crossing.direction for crossing in crossings]
    yield [crossing.session for crossing in crossings]
    yield [crossing.seq for crossing in crossings]
    yield [crossing.place for crossing in crossings]
    yield [crossing.spec_revision for crossing in crossings]
    models = [crossing.model for crossing in crossings]
    yield [model.name if model else None for model in models]
    yield [model.sha256 if model else None for model in models]
    yield [model.precision if model else None for model in models]


def _end_columns(ends: Sequence[SessionEnd]) -> Iterable[list[object]]:
    yield [end.run for end in ends]
    yield [end.camera for end in ends]
    yield [end.session for end in ends]
    yield [end.store for end in ends]
    yield [end.reason for end in ends]
    yield [to_datetime(end.at) for end in ends]
    yield [end.frames for end in ends]
    yield [end.skipped for end in ends]
    yield [end.missed for end in ends]
    yield [end.count for end in ends]
