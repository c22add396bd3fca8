"""Today's totals of stores, read from the database: published by persistence, and sent first by the api."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import asyncpg

from contracts.events import Counts
from contracts.identity import LIVE, to_ns
from services.kit.database.effective_counts import effective_counts
from services.kit.database.occupancy import RESET, Base, corrected, inside, resets_around
from services.kit.local_time import local_day, time_zone_named

Key = tuple[str, str]
"""A run and a store."""

_STORES = "SELECT id, time_zone, occupancy_reset FROM store WHERE id = ANY($1::text[])"
# One statement is one snapshot: the version never belongs to other totals.
_QUERY = """
WITH k AS MATERIALIZED (
  SELECT k.*, v.version, v.last_at, c.at AS corrected_at, c.inside AS corrected
  FROM unnest($1::text[], $2::text[], $3::date[], $4::timestamptz[], $5::timestamptz[])
       AS k (run, store, day, since, until)
  LEFT JOIN store_version v ON v.run = k.run AND v.store = k.store
  LEFT JOIN LATERAL (
    SELECT at, inside FROM occupancy_correction c
    WHERE c.store = k.store AND c.at >= k.since AND c.at < k.until ORDER BY at DESC, id DESC LIMIT 1
  ) c ON k.run = $6
), net AS MATERIALIZED (
  SELECT k.*, n.net FROM k CROSS JOIN LATERAL (
    SELECT coalesce(sum(q.ins - q.outs), 0) AS net FROM {quarters} q
    WHERE q.store = k.store AND q.bucket < k.until AND q.bucket >= k.since
      AND (k.corrected_at IS NULL OR q.bucket >= k.corrected_at)
  ) n
)
SELECT n.*, d.camera, d.line, d.ins, d.outs
FROM net n LEFT JOIN LATERAL (
  SELECT camera, line, sum(ins)::int AS ins, sum(outs)::int AS outs FROM {days} d
  WHERE d.store = n.store AND d.day = n.day GROUP BY camera, line
) d ON true
ORDER BY n.run, n.store, d.camera, d.line
""".format(quarters=effective_counts("count_quarter", "k.run"), days=effective_counts("count_day", "n.run"))  # noqa: S608  # nothing of it comes from outside


@dataclass(frozen=True, slots=True)
class _Today:
    """A store's current local date, and the moments between which its occupancy is counted, UTC."""

    day: date
    since: datetime
    until: datetime


async def totals(connection: asyncpg.Connection, run: str, store: str, now: datetime) -> Counts:
    """A store's totals of its current local day; all zero, at revision 0, before the first count.

    Args:
        connection: of asyncpg, or a pool.
        run: `live`, or another run's name.
        store: its id.
        now: the present moment, with a time zone; it determines the local day.
    """
    (counts,) = await all_totals(connection, [(run, store)], now)
    return counts


async def all_totals(connection: asyncpg.Connection, keys: Sequence[Key], now: datetime) -> list[Counts]:
    """The totals of several stores by one query, ordered by run and store."""
    keys = sorted(set(keys))
    stores = {row["id"]: row for row in await connection.fetch(_STORES, [store for _, store in keys])}
    days = [_today(stores.get(store), now) for _, store in keys]
    rows = await connection.fetch(
        _QUERY,
        *([run for run, _ in keys], [store for _, store in keys], [today.day for today in days]),
        *([today.since for today in days], [today.until for today in days], LIVE),
    )
    return [
        await _counts(connection, list(of_store))
        for _, of_store in groupby(rows, key=lambda row: (row["run"], row["store"]))
    ]


def _today(store: asyncpg.Record | None, now: datetime) -> _Today:
    time_zone = time_zone_named(store["time_zone"] if store else None)
    reset = store["occupancy_reset"] if store else RESET
    return _Today(local_day(now, time_zone), *resets_around(now, reset, time_zone))


async def _counts(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> Counts:
    first = rows[0]
    base = Base(first["since"])
    if first["corrected_at"] is not None:
        base = await corrected(connection, first["run"], first["store"], first["corrected_at"], first["corrected"])
    lines = [row for row in rows if row["camera"] is not None]
    return Counts.model_validate(
        {
            "run": first["run"],
            "store": first["store"],
            "revision": first["version"] or 0,
            "day": first["day"].isoformat(),
            "in": sum(row["ins"] for row in lines),
            "out": sum(row["outs"] for row in lines),
            "inside": inside(base, first["net"]),
            "lines": [
                {"camera": row["camera"], "line": row["line"], "in": row["ins"], "out": row["outs"]} for row in lines
            ],
            "last_at": to_ns(first["last_at"]) if first["last_at"] else None,
        }
    )
