"""A store's local day in quarter hours and hours, through summer time and back.

The source is `count_quarter`, in UTC: every time zone's offset is a multiple of a quarter hour, so local hours and days
are whole numbers of its rows. A day has 23, 24 or 25 hours:

    Europe/Paris, 2026-10-25   00  01  02 (+02:00)  02 (+01:00)  03 … 23
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from services.kit.local_time import DAY, QUARTER, instant

FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2999, 12, 31)
"""Earliest and latest dates whose local midnights `datetime` can represent in every time zone."""


@dataclass(frozen=True, slots=True)
class DayBucket:
    """INs and OUTs from `start` to `end`, both in the store's local time with its offset then."""

    start: datetime
    end: datetime
    ins: int
    outs: int


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants, UTC, at which a local day begins and the next one does.

    Where clocks jump over midnight, the day begins at the jump; where midnight comes twice, at its first.
    """
    return instant(day, time(), zone), instant(day + DAY, time(), zone)


def by_quarter(day: date, zone: ZoneInfo, counted: Mapping[datetime, tuple[int, int]]) -> list[DayBucket]:
    """All quarter hours of a local day, empty ones too.

    Args:
        day: the local date.
        zone: the store's.
        counted: (INs, OUTs) by the quarter's start in UTC.
    """
    start, end = day_bounds(day, zone)
    starts = [start + n * QUARTER for n in range((end - start) // QUARTER)]
    return [DayBucket(at.astimezone(zone), (at + QUARTER).astimezone(zone), *counted.get(at, (0, 0))) for at in starts]


def by_hour(quarters: Iterable[DayBucket]) -> list[DayBucket]:
    """Quarters joined into local hours. An hour that clocks repeat is two: the offset tells them apart."""
    return _join(quarters, lambda at: (at.date(), at.hour, at.utcoffset()))


def _join(quarters: Iterable[DayBucket], key: Callable[[datetime], object]) -> list[DayBucket]:
    joined: list[DayBucket] = []
    for quarter in quarters:
        if joined and key(joined[-1].start) == key(quarter.start):
            last = joined[-1]
            joined[-1] = DayBucket(last.start, quarter.end, last.ins + quarter.ins, last.outs + quarter.outs)
        else:
            joined.append(quarter)
    return joined
