"""Today's totals of stores, as they stand in the database: what persistence announces and the api sends first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

import asyncpg

from contracts.events import Counts
from contracts.identity import to_ns
from services.kit.zones import local_day, zone

Key = tuple[str, str]
"""A run and a store."""

# One statement is one snapshot: the version never belongs to other totals. A local date is at most a day from UTC's.
_QUERY = """
SELECT k.run, k.store, s.time_zone, v.version, v.last_at, d.day, d.camera, d.line, d.ins, d.outs
FROM unnest($1::text[], $2::text[]) AS k (run, store)
LEFT JOIN store s ON s.id = k.store
LEFT JOIN store_version v ON v.run = k.run AND v.store = k.store
LEFT JOIN count_day d ON d.run = k.run AND d.store = k.store AND d.day BETWEEN $3 AND $4
ORDER BY k.run, k.store, d.camera, d.line
"""


async def totals(connection: asyncpg.Connection, run: str, store: str, now: datetime) -> Counts:
    """A store's totals of its local today; all zero, at revision 0, where nothing was counted yet.

    Args:
        connection: of asyncpg, or a pool.
        run: `live`, or a replay's name.
        store: whose totals.
        now: the present moment, with a time zone; tells which day it is at the store.
    """
    (counts,) = await all_totals(connection, [(run, store)], now)
    return counts


async def all_totals(connection: asyncpg.Connection, keys: Sequence[Key], now: datetime) -> list[Counts]:
    """The totals of several stores in one reading, ordered by run and store."""
    keys = sorted(set(keys))
    utc_day = now.astimezone(UTC).date()
    around = utc_day - timedelta(days=1), utc_day + timedelta(days=1)
    rows = await connection.fetch(_QUERY, [run for run, _ in keys], [store for _, store in keys], *around)
    return [_counts(list(of_store), now) for _, of_store in groupby(rows, key=lambda row: (row["run"], row["store"]))]


def _counts(rows: Sequence[asyncpg.Record], now: datetime) -> Counts:
    first = rows[0]
    today = local_day(now, zone(first["time_zone"]))
    lines = [row for row in rows if row["day"] == today]
    ins, outs = sum(row["ins"] for row in lines), sum(row["outs"] for row in lines)
    return Counts.model_validate(
        {
            "run": first["run"],
            "store": first["store"],
            "revision": first["version"] or 0,
            "day": today.isoformat(),
            "in": ins,
            "out": outs,
            "inside": max(0, ins - outs),
            "lines": [
                {"camera": row["camera"], "line": row["line"], "in": row["ins"], "out": row["outs"]} for row in lines
            ],
            "last_at": to_ns(first["last_at"]) if first["last_at"] else None,
        }
    )
