"""How many people are inside a store: the one definition, for live numbers and for history alike.

Occupancy is counted from a base: the store's nightly reset, at which nobody is inside, or what a person said since then
("there are 12 now"). It is the newest base, and the INs minus the OUTs of the crossings after it; never below 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from services.kit.local_time import instant, next_quarter
from services.kit.standing import standing
from services.kit.zones import local_day

RESET = time(0)
"""Where nobody said when: with the day. A shop that is open past midnight says a time at which it is empty."""
_DAY = timedelta(days=1)

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


def resets_around(now: datetime, reset: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The last reset of a store until now, and the one after it, UTC.

    Args:
        now: the present moment, with a time zone.
        reset: the store's local time of it, a quarter hour's beginning.
        zone: the store's.
    """
    today = local_day(now, zone)
    near = sorted({next_quarter(instant(today + days * _DAY, reset, zone)) for days in (-2, -1, 0, 1, 2)})
    last = max(moment for moment in near if moment <= now)
    return last, min(moment for moment in near if moment > now)


async def corrected(connection: asyncpg.Connection, run: str, store: str, at: datetime, people: int) -> Base:
    """The base that a person's word makes: the crossings of its quarter hour are told apart by the record."""
    rest = await connection.fetchval(_REST, run, store, at, next_quarter(at))
    return Base(at, people, rest)
