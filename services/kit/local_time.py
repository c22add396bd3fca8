"""Local time of stores: their time zones, and the periods of UTC that lie on their local dates.

A store's day begins and ends at its own midnight, through daylight saving. The quarter hour of UTC is the atom of all
history. It belongs to the local hour and date on which it begins, so that minutes, quarters, hours, days and months
always add up to one another. Within a period of constant offset, a database without time zones can compute local hours
by adding the offset.

    Europe/Paris, 2026-10-25   22:00Z ─── +02:00 ─── 01:00Z ───────── +01:00 ───────── 23:00Z
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.identity import to_datetime
from services.kit.logs import logger

UTC_NAME = "UTC"
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDEST = timedelta(hours=16)
"""Larger than any offset from UTC that a time zone ever had."""

log = logger()


@cache
def time_zone_named(name: str | None) -> ZoneInfo:
    """The time zone of an IANA name such as `Africa/Tunis`; UTC for None (an unknown store) and for an unknown name.

    A wrong name in the configuration must not stop the counting: it is logged once, and days are UTC's meanwhile.
    """
    try:
        return ZoneInfo(name or UTC_NAME)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("unknown time zone, days are counted in UTC: correct the store's time zone", time_zone=name)
        return ZoneInfo(UTC_NAME)


def local_day(moment: datetime, time_zone: ZoneInfo) -> date:
    """The local date of a moment in a time zone.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: a store's day cannot be told from it")
    return moment.astimezone(time_zone).date()


@dataclass(frozen=True, slots=True)
class OffsetPeriod:
    """Whole quarter hours of UTC, from `start` until before `end`, in which local time is UTC plus `offset`."""

    start: datetime
    end: datetime
    offset: timedelta


def quarter_of(moment: datetime) -> datetime:
    """The beginning of the quarter hour that holds a moment of UTC."""
    return moment - (moment - _EPOCH) % QUARTER


def next_quarter(moment: datetime) -> datetime:
    """The first beginning of a quarter hour that is not before a moment of UTC."""
    return moment + (_EPOCH - moment) % QUARTER


def instant(day: date, at: time, time_zone: ZoneInfo) -> datetime:
    """The moment, UTC, at which a wall clock shows a time of a local date.

    A time that the clocks skip gives a moment as much later; one that they repeat gives the first of the two.
    """
    return datetime.combine(day, at, time_zone).astimezone(UTC)


@lru_cache(maxsize=4096)
def offset_periods(time_zone: ZoneInfo, first: date, last: date) -> tuple[OffsetPeriod, ...]:
    """The periods that lie on the local dates from `first` to `last`, both included; none for a date that was skipped.

    Time zones that crossed the date line skipped a whole date (Pacific/Apia, 30 December 2011).
    """
    begin, end = _midnight(first), _midnight(last + DAY)
    periods = []
    for period in _constant_offsets(time_zone, begin - _WIDEST, end + _WIDEST):
        start = max(period.start, next_quarter(begin - period.offset))
        stop = min(period.end, next_quarter(end - period.offset))
        if start < stop:
            periods.append(OffsetPeriod(start, stop, period.offset))
    return tuple(periods)


def _constant_offsets(time_zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[OffsetPeriod]:
    """All of `start` to `end`, cut where the offset changes."""
    begin, offset = quarter_of(start), _offset(time_zone, start)
    for year in range(start.year, end.year + 1):
        for change in _changes(time_zone, year):
            if begin < change < end:
                yield OffsetPeriod(begin, change, offset)
                begin, offset = change, _offset(time_zone, change)
    yield OffsetPeriod(begin, next_quarter(end), offset)


@lru_cache(maxsize=4096)
def _changes(time_zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The quarters of a year of UTC that begin with another offset than the quarter before.

    zoneinfo does not list them, so each day is compared with the next, and a change is located by bisection. No time
    zone ever changed to and fro within a day.
    """
    changes = []
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    before = day - QUARTER
    while before < end - QUARTER:
        after = min(before + DAY, end - QUARTER)
        if _offset(time_zone, before) != _offset(time_zone, after):
            changes.append(_bisect(time_zone, before, after))
        before = after
    return tuple(changes)


def _bisect(time_zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _offset(time_zone, before)
    while after - before > QUARTER:
        middle = before + (after - before) // QUARTER // 2 * QUARTER
        if _offset(time_zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(time_zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(time_zone).utcoffset() or timedelta()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def moment(ns: int) -> str:
    """Format a time in UTC."""
    return to_datetime(ns).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
