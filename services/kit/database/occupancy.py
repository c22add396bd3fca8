"""How many people are inside a store: the one definition, for live numbers and for history alike.

Occupancy is counted from a base: the store's nightly reset, at which nobody is inside, or what a person said since then
("there are 12 now"). It is the newest base, and the INs minus the OUTs of the crossings after it; never below 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import asyncpg

from services.kit.database.effective_counts import standing
from services.kit.local_time import DAY, QUARTER, instant, next_quarter
from services.kit.zones import local_day

RESET = time(0)
"""Where nobody said when: with the day. A shop that is open past midnight says a time at which it is empty."""

_REST = """
SELECT count(*) FILTER (WHERE direction = 'in') - count(*) FILTER (WHERE direction = 'out')
FROM {crossings} c WHERE store = $2 AND at > $3 AND at < $4
""".format(crossings=standing("crossing", "$1"))


@dataclass(frozen=True, slots=True)
class Base:
    """How many were inside at a moment, UTC; `rest` is INs minus OUTs after it, in what is left of its quarter hour."""

    at: datetime
    inside: int = 0
    rest: int = 0


def inside(base: Base, net: int) -> int:
    """How many are inside.

    Args:
        base: the newest one.
        net: INs minus OUTs of the whole quarter hours after it.
    """
    return max(0, base.inside + base.rest + net)


def over(bases: Sequence[Base], nets: Mapping[datetime, int], end: datetime) -> Iterator[tuple[datetime, int]]:
    """How many were inside at the end of each quarter hour, by its beginning.

    Args:
        bases: in the order of time, the first on a quarter hour's beginning: where it starts.
        nets: INs minus OUTs by quarter hour's beginning, UTC.
        end: where it stops.
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


def resets(first: date, last: date, reset: time, zone: ZoneInfo) -> list[datetime]:
    """A store's resets on local dates, both included, UTC."""
    days = (last - first).days + 1
    return sorted({next_quarter(instant(first + n * DAY, reset, zone)) for n in range(days)})


def resets_around(now: datetime, reset: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The last reset of a store until now, and the one after it, UTC.

    Args:
        now: the present moment, with a time zone.
        reset: the store's local time of it, a quarter hour's beginning.
        zone: the store's.
    """
    today = local_day(now, zone)
    near = resets(today - 2 * DAY, today + 2 * DAY, reset, zone)
    last = max(moment for moment in near if moment <= now)
    return last, min(moment for moment in near if moment > now)


async def corrected(connection: asyncpg.Connection, run: str, store: str, at: datetime, people: int) -> Base:
    """The base that a person's word makes: the crossings of its quarter hour are told apart by the record."""
    rest = await connection.fetchval(_REST, run, store, at, next_quarter(at))
    return Base(at, people, rest)
