"""Today's totals of stores, as they stand in the database: what persistence announces and the api sends first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import asyncpg

from contracts.events import Counts
from contracts.identity import LIVE, to_ns
from services.kit.promotions import corrections_of
from services.kit.zones import local_day, zone

Key = tuple[str, str]
"""A run and a store."""

LONGEST_DAY = 25
"""Hours: today, wherever it is, lies within so many of now."""

# One statement is one snapshot: the version never belongs to other totals. A local date is at most a day from UTC's.
_QUERY = """
SELECT k.run, k.store, s.time_zone, v.version, v.last_at, v.time_zone AS folded_by, d.day, NULL AS bucket,
       d.camera, d.line, d.ins, d.outs
FROM unnest($1::text[], $2::text[]) AS k (run, store)
LEFT JOIN store s ON s.id = k.store
LEFT JOIN store_version v ON v.run = k.run AND v.store = k.store
LEFT JOIN count_day d ON d.run = k.run AND d.store = k.store AND d.day BETWEEN $4 AND $5
UNION ALL
SELECT 'live', store, NULL, NULL, NULL, NULL, NULL, bucket, camera, line, ins, outs
FROM ({corrections}) AS c
ORDER BY run, store, bucket NULLS FIRST
""".format(corrections=corrections_of("$3", "$6", "$7"))


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
    runs, stores = [run for run, _ in keys], [store for _, store in keys]
    live = [store for run, store in keys if run == LIVE]
    utc_day = now.astimezone(UTC).date()
    days, hours = timedelta(days=1), timedelta(hours=LONGEST_DAY)
    around = utc_day - days, utc_day + days, now - hours, now + hours
    rows = await connection.fetch(_QUERY, runs, stores, live, *around)
    return [_counts(list(of_store), now) for _, of_store in groupby(rows, key=lambda row: (row["run"], row["store"]))]


def _counts(rows: Sequence[asyncpg.Record], now: datetime) -> Counts:
    first = rows[0]
    today = local_day(now, zone(first["time_zone"]))
    lines = _lines(rows, today)
    ins, outs = sum(ins for ins, _ in lines.values()), sum(outs for _, outs in lines.values())
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
                {"camera": camera, "line": line, "in": ins, "out": outs}
                for (camera, line), (ins, outs) in sorted(lines.items())
            ],
            "last_at": to_ns(first["last_at"]) if first["last_at"] else None,
        }
    )


def _lines(rows: Sequence[asyncpg.Record], today: date) -> dict[tuple[str, str], tuple[int, int]]:
    """(INs, OUTs) of a day by camera and line: as they were counted, and what promotions correct."""
    # Corrections go by the zone that the days are folded by now: until they follow a changed zone, both are of one.
    folded_by = zone(rows[0]["folded_by"] or rows[0]["time_zone"])
    lines: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        if (row["day"] if row["bucket"] is None else local_day(row["bucket"], folded_by)) == today:
            ins, outs = lines.get((row["camera"], row["line"]), (0, 0))
            lines[row["camera"], row["line"]] = ins + row["ins"], outs + row["outs"]
    return lines
