"""Footfall of a period by bucket and series, its peak hour, and comparisons with other periods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import asyncpg

from services.api.history.period import Against, DateRange, Size, TimeSlot, hour_of, slots
from services.api.history.repository import SERIES, By, CountSelection, Part, Row, Span, read_buckets, read_peak
from services.api.history.schemas import BucketOut, ComparedOut, FootfallOut, SeriesOut, SoFarOut, UntilOut
from services.kit.database.tables import Store
from services.kit.local_time import quarter_of, time_zone_named

Group = TypeVar("Group")


async def read_footfall(
    connection: asyncpg.Connection,
    reading: CountSelection,
    period: DateRange,
    size: Size,
    by: By,
    against: Sequence[Against],
    now: datetime,
) -> FootfallOut:
    """Read the footfall of a period.

    Args:
        connection: gets one query for days and one for quarter hours.
        reading: run, stores and restriction to opening hours.
        now: present time, UTC, up to which a period under way is compared.
    """
    where = common_zone(reading.stores)
    own, others = _spans(reading, period, against, now)
    rows, *rows_of_others = await read_buckets(connection, reading, [own, *others], size, by)
    series = _all_series(rows, slots(period, size, where), by)
    return FootfallOut(
        run=reading.run,
        time_zone=where.key if where else None,
        from_=period.first,
        to=period.last,
        bucket=size,
        open_only=reading.open_only,
        in_=sum(each.in_ for each in series),
        out=sum(each.out for each in series),
        series=series,
        compared=[
            _compared(
                choice, span, theirs, slots(span.period, size, where), _so_far(where, (own, rows), (span, theirs))
            )
            for choice, span, theirs in zip(against, others, rows_of_others, strict=True)
        ],
    )


async def read_peak_hour(
    connection: asyncpg.Connection, reading: CountSelection, period: DateRange
) -> BucketOut | None:
    """Read the local hour with the most INs, the first of equals; None without an IN."""
    row = await read_peak(connection, reading, period)
    return None if row is None else _bucket_out(hour_of(row.key, common_zone(reading.stores)), row.ins, row.outs)


def sums(rows: Iterable[Row], key: Callable[[Row], Group]) -> defaultdict[Group, tuple[int, int]]:
    """INs and OUTs of rows by a key of theirs; 0 where there is no row."""
    counts: defaultdict[Group, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        ins, outs = counts[key(row)]
        counts[key(row)] = ins + row.ins, outs + row.outs
    return counts


def common_zone(stores: Sequence[Store]) -> ZoneInfo | None:
    """The common time zone of stores; None if they are in several."""
    names = {store.time_zone for store in stores}
    return time_zone_named(names.pop()) if len(names) == 1 else None


def _spans(
    reading: CountSelection, period: DateRange, against: Sequence[Against], now: datetime
) -> tuple[Span, list[Span]]:
    """Spans of the period and its comparison periods; with the present time, if the period is under way in a store."""
    quarter = quarter_of(now)

    def present(where: ZoneInfo) -> datetime:
        return quarter.astimezone(where).replace(tzinfo=None)

    def compared(other: DateRange) -> Span:
        return Span(other, lambda where: period.counterpart(present(where), other))

    others = [period.before(choice) for choice in against]
    if any(present(time_zone_named(name)) in period for name in {store.time_zone for store in reading.stores}):
        return Span(period, present if others else None), [compared(other) for other in others]
    return Span(period), [Span(other) for other in others]


def _all_series(rows: Iterable[Row], places: Sequence[TimeSlot], by: By) -> list[SeriesOut]:
    """The series of a period, in order. The total is always one, even without counts."""
    by_series: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    if by is By.TOTAL:
        by_series[()] = []
    for row in rows:
        if row.part & Part.PERIOD:
            by_series[row.series].append(row)
    return [
        _series(dict(zip(SERIES[by], names, strict=True)), places, rows) for names, rows in sorted(by_series.items())
    ]


def _series(names: dict[str, str], places: Sequence[TimeSlot], rows: Sequence[Row]) -> SeriesOut:
    ins, outs = _sums(rows)
    return SeriesOut(
        store=names.get("store"),
        camera=names.get("camera"),
        line=names.get("line"),
        in_=ins,
        out=outs,
        buckets=_buckets(places, rows),
    )


def _buckets(places: Sequence[TimeSlot], rows: Iterable[Row]) -> list[BucketOut]:
    counts = sums(rows, lambda row: row.key)
    return [_bucket_out(place, *counts[place.key]) for place in places]


def _compared(
    against: Against, span: Span, rows: Sequence[Row], places: Sequence[TimeSlot], so_far: SoFarOut | None
) -> ComparedOut:
    whole = [row for row in rows if row.part & Part.PERIOD]
    ins, outs = _sums(whole)
    return ComparedOut(
        against=against,
        from_=span.period.first,
        to=span.period.last,
        in_=ins,
        out=outs,
        so_far=so_far,
        buckets=_buckets(places, whole),
    )


def _so_far(
    where: ZoneInfo | None, now: tuple[Span, Sequence[Row]], then: tuple[Span, Sequence[Row]]
) -> SoFarOut | None:
    if now[0].until is None:
        return None
    return SoFarOut(now=_until(where, *now), then=_until(where, *then))


def _until(where: ZoneInfo | None, span: Span, rows: Iterable[Row]) -> UntilOut:
    ins, outs = _sums(row for row in rows if row.part & Part.SO_FAR)
    moment = span.until(where).replace(tzinfo=where) if where and span.until else None
    return UntilOut(until=moment, in_=ins, out=outs)


def _sums(rows: Iterable[Row]) -> tuple[int, int]:
    return sums(rows, lambda _: None)[None]


def _bucket_out(place: TimeSlot, ins: int, outs: int) -> BucketOut:
    return BucketOut(start=place.start, end=place.end, label=place.label, in_=ins, out=outs)
