"""The rollups in Postgres: adds batches, and rebuilds a store's days when its time zone changes.

Every writer first locks the stores' rows of `store_version`, in the order of the key, and holds the locks until its
commit. So versions rise in the order of the commits, and writers of a store's rollups take turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from services.kit.database.totals import Key
from services.kit.local_time import DAY, UTC_NAME, local_day, time_zone_named
from services.persistence.fold import Counted, CountedDays, Folded, InOutCount, LineKey, days_of

MINUTES_KEPT = timedelta(hours=48)
"""Age, before the newest crossing of the store, at which rows of `count_minute` are removed; quarters and days stay."""

_RAISE_VERSIONS = """
INSERT INTO store_version AS v (run, store, version, last_at, time_zone)
SELECT run, store, 1, last_at, $4 FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (run, store, last_at)
ON CONFLICT (run, store) DO UPDATE
SET version = v.version + 1, last_at = GREATEST(v.last_at, excluded.last_at)
RETURNING run, store, time_zone
"""
_ZONES = "SELECT id, time_zone FROM store WHERE id = ANY($1::text[])"
_ADD = """
INSERT INTO {table} AS c (run, store, camera, line, {bucket}, ins, outs)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::{type}[], $6::int[], $7::int[])
ON CONFLICT (run, store, camera, line, {bucket}) DO UPDATE
SET ins = c.ins + excluded.ins, outs = c.outs + excluded.outs
"""
_ADD_MINUTES = _ADD.format(table="count_minute", bucket="bucket", type="timestamptz")
_ADD_QUARTERS = _ADD.format(table="count_quarter", bucket="bucket", type="timestamptz")
_ADD_DAYS = _ADD.format(table="count_day", bucket="day", type="date")
_ADD_SESSIONS = """
INSERT INTO session_count AS c (run, camera, session, store, last_at, crossings)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::int[])
ON CONFLICT (run, camera, session) DO UPDATE
SET crossings = c.crossings + excluded.crossings, last_at = GREATEST(c.last_at, excluded.last_at)
"""
_QUARTERS = """
SELECT camera, line, bucket, ins, outs FROM count_quarter WHERE run = $1 AND store = $2 AND bucket >= $3 AND bucket < $4
"""
_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_CUT = (
    "DELETE FROM count_minute WHERE run = $1 AND store = $2 AND bucket < $3",
    "DELETE FROM count_quarter WHERE run = $1 AND store = $2 AND bucket < $3",
)
_MOVED = """
SELECT v.run, v.store FROM store_version v LEFT JOIN store s ON s.id = v.store
WHERE v.time_zone IS DISTINCT FROM coalesce(s.time_zone, $1) ORDER BY v.run, v.store
"""


async def raise_versions(connection: asyncpg.Connection, last: Mapping[Key, datetime | None]) -> dict[str, ZoneInfo]:
    """Lock stores and raise their versions; rebuild days that are folded by another time zone than the store's.

    Args:
        connection: inside the batch's transaction.
        last: the time of the newest crossing by run and store; None leaves it unchanged.

    Returns:
        The time zone of each store, by its id.
    """
    keys = sorted(last)
    runs, stores = [run for run, _ in keys], [store for _, store in keys]
    versions = await connection.fetch(_RAISE_VERSIONS, runs, stores, [last[key] for key in keys], UTC_NAME)
    # A separate statement after the locks, so that it sees the time zones as of the last writer's commit.
    names = {row["id"]: row["time_zone"] for row in await connection.fetch(_ZONES, stores)}
    for version in versions:
        name = names.get(version["store"], UTC_NAME)
        if version["time_zone"] != name:
            await _rebuild_days(connection, version["run"], version["store"], name)
    return {store: time_zone_named(names.get(store)) for store in stores}


async def add(connection: asyncpg.Connection, folded: Folded) -> None:
    """Add a folded batch to the rollups. The stores must be locked."""
    await connection.execute(_ADD_MINUTES, *_columns(folded.minutes))
    await connection.execute(_ADD_QUARTERS, *_columns(folded.quarters))
    await connection.execute(_ADD_DAYS, *_columns(folded.days))
    keys, sessions = list(zip(*folded.sessions, strict=True)), folded.sessions.values()
    stores, last = [session.store for session in sessions], [session.last_at for session in sessions]
    await connection.execute(_ADD_SESSIONS, *map(list, keys), stores, last, [session.crossings for session in sessions])


async def moved(connection: asyncpg.Connection) -> list[Key]:
    """Runs and stores with days that are folded by another time zone than the store's."""
    return [(row["run"], row["store"]) for row in await connection.fetch(_MOVED, UTC_NAME)]


async def _rebuild_days(connection: asyncpg.Connection, run: str, store: str, name: str) -> None:
    quarters = await _quarters(connection, run, store, *_EVER)
    await connection.execute("DELETE FROM count_day WHERE run = $1 AND store = $2", run, store)
    await connection.execute(_ADD_DAYS, *_columns(days_of(quarters, time_zone_named(name))))
    await connection.execute("UPDATE store_version SET time_zone = $3 WHERE run = $1 AND store = $2", run, store, name)


async def cut(connection: asyncpg.Connection, run: str, store: str, name: str, before: datetime) -> None:
    """Remove the counts before a moment, and count the local day of the moment again from the rest.

    Args:
        connection: inside a transaction that holds the store's lock.
        run, store: of the counts.
        name: the time zone by which the store's days are folded.
        before: the moment, the beginning of a quarter hour, UTC.
    """
    day = local_day(before, time_zone_named(name))
    for statement in _CUT:
        await connection.execute(statement, run, store, before)
    await connection.execute("DELETE FROM count_day WHERE run = $1 AND store = $2 AND day <= $3", run, store, day)
    quarters = await _quarters(connection, run, store, before, before + 2 * DAY)
    left = {key: count for key, count in days_of(quarters, time_zone_named(name)).items() if key[1] == day}
    await connection.execute(_ADD_DAYS, *_columns(left))


async def _quarters(connection: asyncpg.Connection, run: str, store: str, start: datetime, end: datetime) -> Counted:
    return {
        (LineKey(run, store, row["camera"], row["line"]), row["bucket"]): InOutCount(row["ins"], row["outs"])
        for row in await connection.fetch(_QUARTERS, run, store, start, end)
    }


def _columns(counted: Counted | CountedDays) -> Iterable[list[str] | list[date] | list[int]]:
    lines = [line for line, _ in counted]
    for name in LineKey._fields:
        yield [getattr(line, name) for line in lines]
    yield [bucket for _, bucket in counted]
    yield [count.ins for count in counted.values()]
    yield [count.outs for count in counted.values()]
