"""Local time in whole quarter hours: the stretches of UTC that lie on a store's local dates, through changes of clocks.

The quarter hour of UTC is the atom of all history. It belongs to the local hour and date on which it begins, so that
minutes, quarters, hours, days and months always add up to one another. Within a stretch the zone's offset is constant:
a database that knows no time zone finds local hours by adding it.

    Europe/Paris, 2026-10-25   22:00Z ─── +02:00 ─── 01:00Z ───────── +01:00 ───────── 23:00Z
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDEST = timedelta(hours=16)
"""No zone ever was further from UTC."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` until before `end`, whole quarter hours of UTC, local time is UTC plus `offset`."""

    start: datetime
    end: datetime
    offset: timedelta


def quarter_of(moment: datetime) -> datetime:
    """The beginning of the quarter hour that holds a moment of UTC."""
    return moment - (moment - _EPOCH) % QUARTER


def next_quarter(moment: datetime) -> datetime:
    """The first beginning of a quarter hour that is not before a moment of UTC."""
    return moment + (_EPOCH - moment) % QUARTER


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When a wall clock in `zone` shows a time of a date, UTC.

    A time that clocks skip is as much later, one that they repeat is its first.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


@lru_cache(maxsize=4096)
def stretches(zone: ZoneInfo, first: date, last: date) -> tuple[Stretch, ...]:
    """What lies on the local dates from `first` to `last`, both included; nothing of a date that never was."""
    begin, end = _midnight(first), _midnight(last + DAY)
    found = []
    for piece in _pieces(zone, begin - _WIDEST, end + _WIDEST):
        start = max(piece.start, next_quarter(begin - piece.offset))
        stop = min(piece.end, next_quarter(end - piece.offset))
        if start < stop:
            found.append(Stretch(start, stop, piece.offset))
    return tuple(found)


def _pieces(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Stretch]:
    """All of `start` to `end`, cut where the offset changes."""
    begin, offset = quarter_of(start), _offset(zone, start)
    for year in range(start.year, end.year + 1):
        for change in _changes(zone, year):
            if begin < change < end:
                yield Stretch(begin, change, offset)
                begin, offset = change, _offset(zone, change)
    yield Stretch(begin, next_quarter(end), offset)


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The first quarters of a year of UTC that begin with another offset than the one before.

    zoneinfo does not tell them: a look at each day, then halving. No zone ever changed to and fro within a day.
    """
    found = []
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    before = day - QUARTER
    while before < end - QUARTER:
        after = min(before + DAY, end - QUARTER)
        if _offset(zone, before) != _offset(zone, after):
            found.append(_halve(zone, before, after))
        before = after
    return tuple(found)


def _halve(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _offset(zone, before)
    while after - before > QUARTER:
        middle = before + (after - before) // QUARTER // 2 * QUARTER
        if _offset(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
