"""Occupancy, the number of people inside a store: one definition for live numbers and for history.

Occupancy is counted from a base: the store's nightly reset, at which it is empty, or a later correction by hand ("there
are 12 now"). It is the newest base plus the INs minus the OUTs of the crossings after it; never below 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import asyncpg

from services.kit.database.effective_counts import effective_counts
from services.kit.local_time import DAY, QUARTER, instant, local_day, next_quarter

RESET = time(0)
"""Default reset: midnight. A shop that is open past midnight sets a time at which it is empty."""

_REST = """
SELECT count(*) FILTER (WHERE direction = 'in') - count(*) FILTER (WHERE direction = 'out')
FROM {crossings} c WHERE store = $2 AND at > $3 AND at < $4
""".format(crossings=effective_counts("crossing", "$1"))


@dataclass(frozen=True, slots=True)
class Base:
    """A known occupancy at a moment, UTC; `rest` is INs minus OUTs in the rest of the moment's quarter hour."""

    at: datetime
    inside: int = 0
    rest: int = 0


def inside(base: Base, net: int) -> int:
    """The occupancy.

    Args:
        base: the newest one.
        net: INs minus OUTs of the whole quarter hours after it.
    """
    return max(0, base.inside + base.rest + net)


def over(bases: Sequence[Base], nets: Mapping[datetime, int], end: datetime) -> Iterator[tuple[datetime, int]]:
    """The occupancy at the end of each quarter hour, by the beginning of the quarter hour.

    Args:
        bases: in the order of time; the first lies on the beginning of the first quarter hour.
        nets: INs minus OUTs by beginning of a quarter hour, UTC.
        end: before which the last quarter hour begins, UTC.
    """
    base, net, left = bases[0], 0, list(bases)
    quarter = base.at
    while quarter < end:
        net += nets.get(quarter, 0)
        while left and left[0].at < quarter + QUARTER:
            base = left.pop(0)
            net = nets.get(quarter, 0) if base.at == quarter else 0
        yield quarter, inside(base, net)
        quarter += QUARTER


def resets(first: date, last: date, reset: time, time_zone: ZoneInfo) -> list[datetime]:
    """A store's resets on local dates, both included, UTC."""
    days = (last - first).days + 1
    return sorted({next_quarter(instant(first + n * DAY, reset, time_zone)) for n in range(days)})


def resets_around(now: datetime, reset: time, time_zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The last reset of a store until now, and the one after it, UTC.

    Args:
        now: the present moment, with a time zone.
        reset: its local time, the beginning of a quarter hour.
        time_zone: the store's.
    """
    today = local_day(now, time_zone)
    near = resets(today - 2 * DAY, today + 2 * DAY, reset, time_zone)
    last = max(moment for moment in near if moment <= now)
    return last, min(moment for moment in near if moment > now)


async def corrected(connection: asyncpg.Connection, run: str, store: str, at: datetime, people: int) -> Base:
    """The base of a correction by hand. The record of crossings gives the rest of its quarter hour.

    Args:
        connection: of asyncpg, or a pool.
        run: `live`, or another run's name.
        store: its id.
        at: moment of the correction, UTC.
        people: number of people inside at that moment.
    """
    rest = await connection.fetchval(_REST, run, store, at, next_quarter(at))
    return Base(at, people, rest)
