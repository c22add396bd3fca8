"""Periods of local dates, their comparison periods, and their buckets. Pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.kit.local_time import DAY, QUARTER, instant, offset_periods

FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2999, 12, 31)
"""Earliest and latest dates whose local midnights `datetime` can represent in every time zone."""
WEEK = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall-clock time


class Size(StrEnum):
    """Length of a bucket. A week begins on Monday (ISO 8601)."""

    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def within_days(self) -> bool:
        """Tell whether it is shorter than a day."""
        return self in _PER_DAY

    def begin(self, day: date) -> date:
        """The first date of the bucket that contains a date; for sizes of days and longer."""
        if self is Size.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self is Size.MONTH else day


_PER_DAY = {Size.QUARTER: 96, Size.HOUR: 24}


class Against(StrEnum):
    """Choice of a comparison period; beside these, `from:2026-11-02` for the period that begins on a date."""

    PREVIOUS = "previous"
    WEEKDAY = "weekday"
    YEAR = "year"
    TYPICAL = "typical"


FROM = "from:"
COMPARE_PATTERN = rf"^({'|'.join(Against)}|{FROM}\d{{4}}-\d\d-\d\d)$"
YEAR = 52 * WEEK
"""A year of whole weeks, so that weekdays match."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """Local dates from `first` to `last`, both included."""

    first: date
    last: date

    def __contains__(self, moment: datetime) -> bool:
        """Tell whether a wall-clock time is in the period."""
        return self.first <= moment.date() <= self.last

    @property
    def days(self) -> int:
        """Number of dates."""
        return (self.last - self.first).days + 1

    @property
    def months(self) -> int:
        """Number of months if the period consists of whole months; else 0."""
        whole = self.first.day == 1 and (self.last + DAY).day == 1
        return _month(self.last) - _month(self.first) + 1 if whole else 0

    def before(self, against: str) -> DateRange:
        """The comparison period.

        `previous`: as many months before for whole months, otherwise as many days before. `weekday`: the nearest
        earlier days with the same weekdays, whole weeks before. `year`: 52 weeks before. `from:DATE`: as many days
        from a date on.

        Raises:
            ValueError: there is no such date, or a part of the period is beyond the calendar; or `typical`, which is no
                period.
        """
        if against.startswith(FROM):
            return self._moved(date.fromisoformat(against.removeprefix(FROM)))
        match Against(against):
            case Against.WEEKDAY:
                return self._moved(self.first - -(-self.days // 7) * WEEK)
            case Against.YEAR:
                return self._moved(self.first - YEAR)
            case Against.PREVIOUS if self.months:
                return DateRange(_shift(self.first, -self.months), self.first - DAY)
            case Against.PREVIOUS:
                return self._moved(self.first - self.days * DAY)
        raise ValueError(f"{against} is no period")

    def _moved(self, first: date) -> DateRange:
        try:
            last = first + (self.last - self.first)
        except OverflowError as error:
            raise ValueError(f"the days from {first} on are beyond the calendar") from error
        if not FIRST_DAY <= first <= last <= LAST_DAY:
            raise ValueError(f"{first} to {last} is not within {FIRST_DAY} to {LAST_DAY}")
        return DateRange(first, last)

    def counterpart(self, moment: datetime, other: DateRange) -> datetime:
        """The wall-clock time that is as far into `other` as `moment` is into this period.

        From whole months to those just before, the same day of the month and time, or the end of a shorter month.
        """
        if not self.months or self.months != other.months or other.last + DAY != self.first:
            return moment + (other.first - self.first)
        day = _shift(moment.date(), -self.months)
        if day.day < moment.day:
            return datetime.combine(day + DAY, time())
        return datetime.combine(day, moment.time())


Key = tuple[int, int] | date


@dataclass(frozen=True, slots=True)
class TimeSlot:
    """Position of a bucket in time.

    Attributes:
        key: for sizes below a day, number of the bucket since 1970 by the wall clock, and UTC offset in seconds; for
            others, the date.
        start, end: with the time zone's offset; without, if there is no common time zone.
        label: start by the wall clock, ISO 8601, in the precision of the size.
    """

    key: Key
    start: datetime
    end: datetime
    label: str


def slots(period: DateRange, size: Size, zone: ZoneInfo | None) -> list[TimeSlot]:
    """All buckets of a period, in order. Weeks and months are cut at its ends.

    Args:
        period: the local dates.
        size: of the buckets.
        zone: time zone of the stores. None for several time zones: then buckets are wall-clock hours, each day has 24,
            and an hour that clocks repeat is one.
    """
    if not size.within_days:
        return list(_of_days(period, size, zone))
    per_day = _PER_DAY[size]
    if zone is None:
        begin, length = (period.first - _EPOCH.date()).days * per_day, DAY / per_day
        wall = [_EPOCH + (begin + n) * length for n in range(period.days * per_day)]
        return [TimeSlot((begin + n, 0), at, at + length, _label(at, size)) for n, at in enumerate(wall)]
    return list(_of_clock(period, size, zone))


def wall_clock(key: Key, size: Size) -> datetime:
    """The wall-clock time at which the bucket of a key begins."""
    if isinstance(key, tuple):
        return _EPOCH + key[0] * (DAY / _PER_DAY[size])
    return datetime.combine(key, time())


def hour_of(key: Key, zone: ZoneInfo | None) -> TimeSlot:
    """The slot of an hour's key."""
    assert isinstance(key, tuple)
    day = (_EPOCH + key[0] * timedelta(hours=1)).date()
    return next(slot for slot in slots(DateRange(day, day), Size.HOUR, zone) if slot.key == key)


def bucket_count(period: DateRange, size: Size) -> int:
    """Approximate number of buckets of a period."""
    if size.within_days:
        return period.days * _PER_DAY[size]
    return period.days // {Size.DAY: 1, Size.WEEK: 7, Size.MONTH: 28}[size]


def _of_clock(period: DateRange, size: Size, zone: ZoneInfo) -> Iterator[TimeSlot]:
    per_slot = 96 // _PER_DAY[size]
    for piece in offset_periods(zone, period.first, period.last):
        shift = int(piece.offset.total_seconds())
        at = piece.start
        while at < piece.end:
            n = (int(at.timestamp()) + shift) // 900 // per_slot
            left = (n + 1) * per_slot * 900 - (int(at.timestamp()) + shift)
            end = min(at + -(-left // 900) * QUARTER, piece.end)
            local = at.astimezone(zone)
            yield TimeSlot((n, shift), local, end.astimezone(zone), _label(local, size))
            at = end


def _of_days(period: DateRange, size: Size, zone: ZoneInfo | None) -> Iterator[TimeSlot]:
    first = period.first
    while first <= period.last:
        begin = size.begin(first)
        after = min(_next(begin, size), period.last + DAY)
        start, end = _midnight(first, zone), _midnight(after, zone)
        if start < end:
            yield TimeSlot(begin, start, end, _label(datetime.combine(first, time()), size))
        first = after


def _next(begin: date, size: Size) -> date:
    if size is Size.MONTH:
        return _shift(begin, 1)
    return begin + (WEEK if size is Size.WEEK else DAY)


def _midnight(day: date, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        return datetime.combine(day, time())
    return instant(day, time(), zone).astimezone(zone)


def _label(local: datetime, size: Size) -> str:
    if size.within_days:
        return local.strftime("%Y-%m-%dT%H:%M")
    if size is Size.WEEK:
        return local.strftime("%G-W%V")
    return local.strftime("%Y-%m" if size is Size.MONTH else "%Y-%m-%d")


def _month(day: date) -> int:
    return day.year * 12 + day.month


def _shift(day: date, months: int) -> date:
    """The same day of another month, or the last day of a shorter month."""
    year, month = divmod(_month(day) - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
