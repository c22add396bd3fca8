"""The profile of a store: what is usual in each hour of a week."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import asyncpg

from services.api.history.comparison import quartiles
from services.api.history.footfall import common_zone, coverage_of, sums
from services.api.history.period import DateRange, Size, slots, wall_clock
from services.api.history.repository import CountSelection, Span, read_buckets
from services.api.history.schemas import ProfileHour, ProfileOut

HOURS = 24


async def read_profile(
    connection: asyncpg.Connection, reading: CountSelection, period: DateRange, now: datetime
) -> ProfileOut:
    """Read what is usual in each hour of a week, of the hours of a period that were counted and are over.

    Args:
        connection: gets two queries for counts and coverage.
        reading: run, stores and restriction to opening hours.
        period: local dates.
        now: the present moment.
    """
    zone = common_zone(reading.stores)
    (rows,) = await read_buckets(connection, reading, [Span(period)], Size.HOUR)
    coverage = await coverage_of(connection, reading, [period], now)
    counted = sums(rows, lambda row: wall_clock(row.key, Size.HOUR))
    dates = {wall.date() for wall in counted}  # of edge devices, which report no coverage, days with counts
    hours: defaultdict[tuple[int, int], dict[datetime, tuple[int, int]]] = defaultdict(dict)
    for place in slots(period, Size.HOUR, zone):
        wall = wall_clock(place.key, Size.HOUR)
        share = coverage.share(place.start, place.end)
        is_over = place.end.tzinfo is None or place.end <= now
        if is_over and share.suffices_or(unknown=wall.date() in dates):
            hours[wall.isoweekday(), wall.hour][wall] = counted[wall]
    return ProfileOut(
        run=reading.run,
        from_=period.first,
        to=period.last,
        counted_since=coverage.since,
        hours=[_hour(weekday, hour, list(counts.values())) for (weekday, hour), counts in sorted(hours.items())],
    )


def _hour(weekday: int, hour: int, counts: list[tuple[int, int]]) -> ProfileHour:
    low, ins, high = quartiles([ins for ins, _ in counts])
    _, outs, _ = quartiles([outs for _, outs in counts])
    return ProfileHour(
        weekday=weekday,
        hour=hour,
        days=len(counts),
        in_=round(ins),
        out=round(outs),
        low=round(low),
        high=round(high),
    )
