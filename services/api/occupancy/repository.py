"""Reads a store's occupancy, and stores corrections of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import asyncpg

from contracts.identity import LIVE
from services.api.transaction import CHANNEL
from services.kit.database.effective_counts import effective_counts
from services.kit.database.occupancy import Base, corrected, over, resets
from services.kit.database.tables import Store
from services.kit.database.totals import totals
from services.kit.local_time import DAY, offset_periods, time_zone_named

_QUARTERS = """
SELECT bucket, sum(ins) AS ins, sum(outs) AS outs FROM {quarters} q
WHERE store = $2 AND bucket >= $3 AND bucket < $4 GROUP BY bucket
""".format(quarters=effective_counts("count_quarter", "$1"))
_CORRECTIONS = """
SELECT at, inside, counted, who FROM occupancy_correction WHERE store = $1 AND at >= $2 AND at < $3 ORDER BY at, id
"""
_CORRECT = "INSERT INTO occupancy_correction (store, at, inside, counted, who) VALUES ($1, $2, $3, $4, $5)"


class StoredCorrection(NamedTuple):
    """A correction: `inside` people, where `counted` had been counted, by `who`."""

    at: datetime
    inside: int
    counted: int
    who: str


class Quarter(NamedTuple):
    """INs and OUTs of a quarter hour, and the people inside at its end."""

    ins: int
    outs: int
    inside: int


@dataclass(frozen=True, slots=True)
class DayInside:
    """A local day by quarter hours, UTC, and its corrections."""

    quarters: dict[datetime, Quarter]
    corrections: list[StoredCorrection]


async def read_day(connection: asyncpg.Connection, store: Store, day: date, now: datetime) -> DayInside:
    """A store's local day, up to now. `store` comes from `services.api.access`."""
    where = time_zone_named(store.time_zone)
    pieces = offset_periods(where, day, day)
    if not pieces:
        return DayInside({}, [])
    start, end = pieces[0].start, pieces[-1].end
    bases = [Base(at) for at in resets(day - 2 * DAY, day + DAY, store.occupancy_reset, where) if at < end]
    while len(bases) > 1 and bases[1].at <= start:
        del bases[0]
    corrections = await _corrections(connection, store, bases[0].at, end)
    bases += [await corrected(connection, LIVE, store.id, row.at, row.inside) for row in corrections]
    rows = await connection.fetch(_QUARTERS, LIVE, store.id, bases[0].at, end)
    counted = {row["bucket"]: (row["ins"], row["outs"]) for row in rows}
    nets = {bucket: ins - outs for bucket, (ins, outs) in counted.items()}
    inside = over(sorted(bases, key=lambda base: base.at), nets, min(end, now))
    return DayInside(
        {at: Quarter(*counted.get(at, (0, 0)), people) for at, people in inside if at >= start},
        [correction for correction in corrections if correction.at >= start],
    )


async def last_correction(
    connection: asyncpg.Connection, store: Store, since: datetime, until: datetime
) -> StoredCorrection | None:
    """The newest correction from `since` to the exclusive `until`."""
    corrections = await _corrections(connection, store, since, until)
    return corrections[-1] if corrections else None


async def correct(connection: asyncpg.Connection, store: Store, people: int, who: str, now: datetime) -> None:
    """Store the number of people inside now, and notify the API's replicas. The caller commits."""
    counted = (await totals(connection, LIVE, store.id, now)).inside
    await connection.execute(_CORRECT, store.id, now, people, counted, who)
    await connection.execute(f"NOTIFY {CHANNEL}")


async def _corrections(
    connection: asyncpg.Connection, store: Store, start: datetime, end: datetime
) -> Sequence[StoredCorrection]:
    return [StoredCorrection(*row) for row in await connection.fetch(_CORRECTIONS, store.id, start, end)]
