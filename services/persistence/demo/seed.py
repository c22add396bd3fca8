"""Seeding of invented history, directly into the tables of the record: for benchmarks and for a demonstration.

The database itself draws the visitors, by hashing: the same seed gives the same rows. The rows are the same as by the
writer: crossings in month partitions, in the order of time, and all rollups of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

import asyncpg

from contracts.identity import LIVE, to_ns
from services.kit.local_time import DAY, instant, offset_periods, time_zone_named
from services.persistence.demo.shops import HOURS, Shop, days_of
from services.persistence.partitions import Month, attach, create, exists
from services.persistence.rollups import MINUTES_KEPT

MISSED = 0.015
"""Fraction of crossings that no camera saw."""
MODEL = "invented"
_MEMORY = "SET LOCAL work_mem = '256MB'; SET LOCAL maintenance_work_mem = '512MB'; SET LOCAL synchronous_commit = off"

# 20 bits of a hash are a number from 0 to 1. A visitor comes in, stays a quarter of an hour or so, and goes out by any
# door before the shop closes.
_CROSSINGS = """
INSERT INTO {partition} (run, id, at, at_ns, store, camera, line, line_revision, direction, session, seq, place,
                         spec_revision, model)
WITH visit AS (
  SELECT d.*, v.n, hashint8extended(v.n, d.key) AS a, hashint8extended(v.n, d.key + 1) AS b
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $5::bigint[], $6::text[], $7::text[])
       AS d (store, opens, closes, visitors, key, cameras, lines)
  CROSS JOIN LATERAL generate_series(1, d.visitors) AS v (n)
), entered AS MATERIALIZED (
  SELECT v.*, v.opens + ((v.closes - v.opens) * (
      hours[1 + part] + (hours[2 + part] - hours[1 + part]) * ((v.a >> 20) & 1048575) / 1048576.0::float8
    ))::bigint AS entered
  FROM visit v CROSS JOIN LATERAL (SELECT $8::float8[] AS hours, ((v.a & 1048575) * 16 / 1048576)::int AS part) p
), crossing AS MATERIALIZED (
  SELECT v.store, v.key, v.n, way, string_to_array(v.cameras, ',') AS cameras, string_to_array(v.lines, ',') AS lines,
         CASE way WHEN 0 THEN v.entered ELSE least(
           v.entered + 60000000 - (900000000 * ln(1 - ((v.a >> 40) & 1048575) / 1048577.0::float8))::bigint,
           v.closes + 300 * (v.b & 1048575)
         ) END AS us,
         CASE way WHEN 0 THEN v.b & 1048575 ELSE (v.b >> 40) & 1048575 END AS chance,
         ((v.b >> (20 - 10 * way)) & 1048575)::int AS door
  FROM entered v CROSS JOIN (VALUES (0), (1)) AS w (way)
)
SELECT $9, md5(key || '/' || n || '/' || way)::uuid, timestamptz 'epoch' + us * interval '1 microsecond', us * 1000,
       store, cameras[1 + door % cardinality(cameras)], lines[1 + door % cardinality(lines)], 1,
       (ARRAY['in', 'out'])[1 + way], $10, 2 * n + way, (door & 1023) / 1024.0, 1, $11
FROM crossing WHERE us >= $12 AND us < $13 AND chance >= $14
ORDER BY us, store
"""
_QUARTERS = """
INSERT INTO count_quarter (run, store, camera, line, bucket, ins, outs)
SELECT run, store, camera, line, date_bin('15 minutes', at, 'epoch') AS bucket,
       count(*) FILTER (WHERE direction = 'in'), count(*) FILTER (WHERE direction = 'out')
FROM {partition} WHERE store = ANY($1::text[]) AND run = $2 GROUP BY 1, 2, 3, 4, 5 ORDER BY 5, 2
"""
_MINUTES = """
INSERT INTO count_minute (run, store, camera, line, bucket, ins, outs)
SELECT run, store, camera, line, date_trunc('minute', at) AS bucket,
       count(*) FILTER (WHERE direction = 'in'), count(*) FILTER (WHERE direction = 'out')
FROM {partition} WHERE store = ANY($1::text[]) AND run = $2 AND at >= $3 GROUP BY 1, 2, 3, 4, 5 ORDER BY 5, 2
"""
_SESSIONS = """
INSERT INTO session_count (run, camera, session, store, last_at, crossings)
SELECT run, camera, session, min(store), max(at), count(*)
FROM {partition} WHERE store = ANY($1::text[]) AND run = $2 GROUP BY 1, 2, 3
"""
_DAYS = """
INSERT INTO count_day (run, store, camera, line, day, ins, outs)
SELECT q.run, q.store, q.camera, q.line,
       date '1970-01-01' + ((date_part('epoch', q.bucket)::bigint + s.shift) / 86400)::int AS day,
       sum(q.ins), sum(q.outs)
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::int[]) AS s (store, start, stop, shift)
JOIN count_quarter q ON q.run = $5 AND q.store = s.store AND q.bucket >= s.start AND q.bucket < s.stop
GROUP BY 1, 2, 3, 4, 5 ORDER BY 5, 2
"""
_VERSIONS = """
INSERT INTO store_version (run, store, version, last_at, time_zone)
SELECT $1::text, s.store, 1, (SELECT max(last_at) FROM session_count c WHERE c.store = s.store AND c.run = $1),
       s.time_zone
FROM unnest($2::text[], $3::text[]) AS s (store, time_zone)
"""
_ORGANIZATION = "INSERT INTO organization (id, name, demo) VALUES ($1, $2, true)"
_STORES = """
INSERT INTO store (id, organization, name, time_zone, opening_hours, capacity)
SELECT s.id, $1, s.name, s.time_zone, s.hours::json, s.capacity
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::int[]) AS s (id, name, time_zone, hours, capacity)
"""
_COVERAGE = """
INSERT INTO coverage (run, store, camera, line, start, until)
SELECT $1, s.store, s.camera, s.line, s.start, $6
FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS s (store, camera, line, start)
ON CONFLICT DO NOTHING
"""
_WRITTEN = "SELECT sum(crossings) FROM session_count WHERE store = ANY($1::text[]) AND session = $2"


class AlreadyThere(Exception):
    """The organization exists."""


@dataclass(frozen=True, slots=True)
class DemoHistory:
    """An invented history.

    Attributes:
        organization, name: of the shops.
        shops: all shops of the organization.
        first, last: local dates of the shops, both included.
        until: the moment at which it ends, within these dates.
        seed: of the random numbers.
    """

    organization: str
    name: str
    shops: Sequence[Shop]
    first: date
    last: date
    until: datetime
    seed: int = 7


async def seed_history(
    database_url: str, history: DemoHistory, *, workers: int = 1, report: Callable[[str], None] = lambda _line: None
) -> int:
    """Write an invented history; returns the number of crossings. After an interruption, the next call goes on.

    Args:
        database_url: of persistence, which owns the tables.
        history: to write.
        workers: number of months that are written at a time.
        report: called with a line for each month.

    Raises:
        AlreadyThere: the organization exists.
    """
    async with asyncpg.create_pool(database_url, min_size=0, max_size=workers, command_timeout=None) as pool:
        if await pool.fetchval("SELECT 1 FROM organization WHERE id = $1", history.organization):
            raise AlreadyThere(history.organization)
        limit = asyncio.Semaphore(workers)

        async def write(month: Month) -> int:
            async with limit, pool.acquire() as connection, connection.transaction():
                rows = await _write_month(connection, history, month)
                report(f"{month.year:04}-{month.month:02}: {rows:,} crossings")
                return rows

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(write(month)) for month in _months(history)]
        async with pool.acquire() as connection, connection.transaction():
            await _finish(connection, history)
        return sum(task.result() for task in tasks)


async def _write_month(connection: asyncpg.Connection, history: DemoHistory, month: Month) -> int:
    """Write a month of UTC, unless it is written already; returns its crossings. Inside a transaction."""
    await connection.execute(_MEMORY)
    stores, session = [shop.id for shop in history.shops], f"{MODEL}-{month.year:04}-{month.month:02}"
    if rows := await connection.fetchval(_WRITTEN, stores, session):
        return int(rows)
    partition_is_new = not await exists(connection, month)
    if partition_is_new:
        await create(connection, month)
    # A shop's local days do not match months of UTC: this takes the days that overlap the month, and the query keeps
    # the crossings within it.
    first, last = max(history.first, month.begin.date() - DAY), min(history.last, month.next.begin.date() + DAY)
    days = list(days_of(history.shops, first, last, history.seed))
    await connection.execute(
        _CROSSINGS.format(partition=month.table),
        [day.shop.id for day in days],
        [_us(day.opens) for day in days],
        [_us(day.closes) for day in days],
        [day.visitors for day in days],
        [day.key for day in days],
        [",".join(camera for camera, _ in day.shop.doors) for day in days],
        [",".join(line for _, line in day.shop.doors) for day in days],
        *(HOURS, LIVE, session, MODEL),
        *(_us(month.begin), _us(min(history.until, month.next.begin)), MISSED * 2**20),
    )
    for rollup in (_QUARTERS, _SESSIONS):
        await connection.execute(rollup.format(partition=month.table), stores, LIVE)
    await connection.execute(_MINUTES.format(partition=month.table), stores, LIVE, history.until - MINUTES_KEPT)
    if partition_is_new:
        # Indexes are built before the partition is attached, as months can only be attached one at a time.
        await connection.execute(f"ALTER TABLE {month.table} ADD PRIMARY KEY (run, id, at)")
        await connection.execute(f"CREATE INDEX ON {month.table} (run, store, at)")
        await attach(connection, month)
    return int(await connection.fetchval(_WRITTEN, stores, session) or 0)


async def _finish(connection: asyncpg.Connection, history: DemoHistory) -> None:
    """Write the rollups that span months, and finally the organization with its shops."""
    await connection.execute(_MEMORY)
    periods = [
        (shop.id, period.start, period.end, int(period.offset.total_seconds()))
        for shop in history.shops
        for period in offset_periods(time_zone_named(shop.time_zone), history.first, history.last)
    ]
    await connection.execute(_DAYS, *_columns(periods, 4), LIVE)
    stores, time_zones = [shop.id for shop in history.shops], [shop.time_zone for shop in history.shops]
    await connection.execute(_VERSIONS, LIVE, stores, time_zones)
    await connection.execute(_ORGANIZATION, history.organization, history.name)
    names, capacities = [shop.name for shop in history.shops], [shop.capacity for shop in history.shops]
    hours = [json.dumps(shop.opening_hours) for shop in history.shops]
    await connection.execute(_STORES, history.organization, stores, names, time_zones, hours, capacities)
    begin = {shop: instant(history.first, time(), time_zone_named(shop.time_zone)) for shop in history.shops}
    covered = [(shop.id, *door, begin[shop]) for shop in history.shops for door in shop.doors]
    await connection.execute(_COVERAGE, LIVE, *_columns(covered, 4), history.until)


def _months(history: DemoHistory) -> Iterator[Month]:
    first_days = (
        offset_periods(time_zone_named(shop.time_zone), history.first, history.first) for shop in history.shops
    )
    month = Month.of(min(periods[0].start for periods in first_days))
    while month.begin < history.until and month.begin.date() <= history.last + DAY:
        yield month
        month = month.next


def _columns(rows: Sequence[tuple[object, ...]], count: int) -> Iterator[list[object]]:
    for n in range(count):
        yield [row[n] for row in rows]


def _us(moment: datetime) -> int:
    return to_ns(moment) // 1000
