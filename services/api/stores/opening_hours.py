"""Opening hours of a store: local times of each weekday."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict

from services.kit.local_time import DAY, instant, local_day

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Span = tuple[str, str]
"""Opening and closing time, local, HH:MM; a day ends at 24:00."""
Interval = tuple[float, float]
"""Beginning and end, seconds since 1970, UTC."""
_AHEAD = 9
"""Days that are searched for the next opening and closing: a week, and what clocks and calendars skip."""


def _in_order(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    for opens, closes in spans:
        for moment in (opens, closes):
            if not _TIME.fullmatch(moment):
                raise ValueError(f"{moment!r} is no time of day: write it as 09:30; a day ends at 24:00")
        if opens >= closes:
            raise ValueError(f"{opens} to {closes} ends before it begins: what is after midnight is of the next day")
    for (_, closes), (opens, _) in pairwise(spans):
        if opens < closes:
            raise ValueError(f"{opens} is before {closes}: write the spans of a day in their order")
    return spans


Spans = Annotated[tuple[Span, ...], AfterValidator(_in_order)]


class OpeningHours(BaseModel):
    """The spans of each weekday, in order. A store without any is always open.

    {"monday": [["09:00", "12:30"], ["14:00", "19:00"]], "saturday": [["10:00", "24:00"]]}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    monday: Spans = ()
    tuesday: Spans = ()
    wednesday: Spans = ()
    thursday: Spans = ()
    friday: Spans = ()
    saturday: Spans = ()
    sunday: Spans = ()

    @property
    def restricted(self) -> bool:
        """Tell whether there is any span, without which the store is always open."""
        return any(self.of(weekday) for weekday in range(7))

    def of(self, weekday: int) -> tuple[Span, ...]:
        """The spans of a weekday; 0 is Monday."""
        spans: tuple[Span, ...] = getattr(self, WEEKDAYS[weekday])
        return spans


class Opening(NamedTuple):
    """The state of a store by its opening hours.

    Attributes:
        is_open: now; None for a store without opening hours.
        opens_at, closes_at: the next time it opens, and closes, with the store's offset then; None if it never does.
    """

    is_open: bool | None
    opens_at: datetime | None
    closes_at: datetime | None

    @property
    def changes_at(self) -> datetime | None:
        """The next moment at which `is_open` changes."""
        return min((at for at in (self.opens_at, self.closes_at) if at is not None), default=None)


def opening(hours: OpeningHours, zone: ZoneInfo, now: datetime) -> Opening:
    """The state of a store at a moment. It stays open from a span to the next one that begins as it ends."""
    today, moment = local_day(now, zone), now.timestamp()
    intervals = opening_intervals(hours, zone, today - DAY, today + _AHEAD * DAY)
    if intervals is None:
        return Opening(None, None, None)
    stretches = list(_joined(intervals))
    horizon = instant(today + _AHEAD * DAY, time(), zone).timestamp()  # what goes on then, goes on for ever

    def local(at: float | None) -> datetime | None:
        return None if at is None or at >= horizon else datetime.fromtimestamp(at, UTC).astimezone(zone)

    return Opening(
        any(opens <= moment < closes for opens, closes in stretches),
        local(next((opens for opens, _ in stretches if opens > moment), None)),
        local(next((closes for _, closes in stretches if closes > moment), None)),
    )


def opening_intervals(hours: OpeningHours, zone: ZoneInfo, first: date, last: date) -> list[Interval] | None:
    """The times in which a store is open on local dates; None if it always is."""
    if not hours.restricted:
        return None
    return [
        (_moment(day, opens, zone), _moment(day, closes, zone))
        for day in (first + n * DAY for n in range((last - first).days + 1))
        for opens, closes in hours.of(day.weekday())
    ]


def _moment(day: date, at: str, zone: ZoneInfo) -> float:
    hour, minute = int(at[:2]), int(at[3:])
    return instant(day + timedelta(days=hour // 24), time(hour % 24, minute), zone).timestamp()


def _joined(intervals: list[Interval]) -> Iterator[Interval]:
    """Intervals in order, those that touch as one."""
    begin, end = intervals[0]
    for opens, closes in intervals[1:]:
        if opens > end:
            yield begin, end
            begin = opens
        end = max(end, closes)
    yield begin, end
