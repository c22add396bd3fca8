"""Footfall of a period by bucket and series, its peak hour, and comparisons with other periods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from itertools import chain
from typing import TypeVar
from zoneinfo import ZoneInfo

import asyncpg

from services.api.history.comparison import (
    Comparable,
    FineCounts,
    TypicalDays,
    compare,
    compare_with_typical,
    fine_size,
    history_before,
)
from services.api.history.coverage import UNKNOWN, CoverageOfStores
from services.api.history.period import Against, DateRange, Size, TimeSlot, hour_of, slots, wall_clock
from services.api.history.repository import (
    SERIES,
    By,
    CountSelection,
    Part,
    Row,
    Span,
    read_buckets,
    read_coverage,
    read_peak,
)
from services.api.history.schemas import (
    BucketOut,
    ComparableOut,
    ComparedBucketOut,
    ComparedOut,
    FootfallOut,
    InOutCounts,
    SeriesOut,
    SoFarOut,
    UntilOut,
)
from services.api.stores.opening_hours import OpeningHours, opening_intervals
from services.kit.database.tables import Store
from services.kit.local_time import DAY, instant, quarter_of, time_zone_named

Group = TypeVar("Group")


async def read_footfall(
    connection: asyncpg.Connection,
    reading: CountSelection,
    period: DateRange,
    size: Size,
    by: By,
    against: Sequence[str],
    now: datetime,
) -> FootfallOut:
    """Read the footfall of a period.

    Args:
        connection: gets one query for days and one for quarter hours, two for coverage, and more for comparisons.
        reading: run, stores and restriction to opening hours.
        period: local dates.
        size: of the buckets.
        by: grouping into series.
        against: choices of comparison periods: `typical`, or see `DateRange.before`.
        now: present time, UTC, up to which a period under way is compared.
    """
    zone = common_zone(reading.stores)
    own, others = _spans(reading, period, against, now)
    rows, *rows_of_others = await read_buckets(connection, reading, [own, *others], size, by)
    dates = [period, *(span.period for span in others)]
    if Against.TYPICAL in against:
        dates.append(history_before(period))
    coverage = await coverage_of(connection, reading, dates, now)
    places = slots(period, size, zone)
    series = _all_series(rows, places, by, coverage)
    answer = FootfallOut(
        run=reading.run,
        time_zone=zone.key if zone else None,
        from_=period.first,
        to=period.last,
        bucket=size,
        open_only=reading.open_only,
        counted_since=coverage.since,
        covered=_covered(coverage, places),
        in_=sum(each.in_ for each in series),
        out=sum(each.out for each in series),
        series=series,
        compared=[],
    )
    if not against:
        return answer
    comparing = _Comparing(reading, zone, coverage, own, rows, size)
    await comparing.read(connection, others)
    periods = enumerate(zip(others, rows_of_others, strict=True))
    for choice in against:
        if choice == Against.TYPICAL:
            answer.compared.append(await comparing.with_typical(connection, places))
        else:
            number, (span, theirs) = next(periods)
            answer.compared.append(comparing.with_period(number, choice, span, theirs))
    return answer


async def read_peak_hour(
    connection: asyncpg.Connection, reading: CountSelection, period: DateRange
) -> BucketOut | None:
    """Read the local hour with the most INs, the first of equals; None without an IN."""
    row = await read_peak(connection, reading, period)
    if row is None:
        return None
    place = hour_of(row.key, common_zone(reading.stores))
    return BucketOut(start=place.start, end=place.end, label=place.label, in_=row.ins, out=row.outs)


async def coverage_of(
    connection: asyncpg.Connection, reading: CountSelection, periods: Sequence[DateRange], now: datetime
) -> CoverageOfStores:
    """Read the coverage of stores on the local dates of some periods."""
    first, last = min(period.first for period in periods), max(period.last for period in periods)
    zones = {store.id: time_zone_named(store.time_zone) for store in reading.stores}
    start = min((_midnight(first, zone) for zone in zones.values()), default=now)
    end = max((_midnight(last + DAY, zone) for zone in zones.values()), default=now)
    opening = {
        store.id: opening_intervals(OpeningHours.model_validate(store.opening_hours), zones[store.id], first, last)
        for store in reading.stores
    }
    lines = await read_coverage(connection, reading, start, end)
    return CoverageOfStores(zones, lines, now.timestamp(), opening)


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


class _Comparing:
    """The comparison of one period with others, in the same small buckets.

    Args:
        reading: the stores.
        zone: their time zone.
        coverage: of all the periods.
        own, rows: the period that is compared, and its counts.
        size: of the buckets that are shown.
    """

    def __init__(
        self,
        reading: CountSelection,
        zone: ZoneInfo | None,
        coverage: CoverageOfStores,
        own: Span,
        rows: Sequence[Row],
        size: Size,
    ) -> None:
        self._reading, self._zone, self._coverage = reading, zone, coverage
        self._own, self._rows, self._size = own, rows, size
        self._fine_size = fine_size(own.period)

    async def read(self, connection: asyncpg.Connection, others: Sequence[Span]) -> None:
        """Read the small buckets of all periods."""
        periods = [self._own.period, *(span.period for span in others)]
        rows = await read_buckets(connection, self._reading, [Span(each) for each in periods], self._fine_size, By.LINE)
        self._fine, *self._fine_others = (
            FineCounts(each, self._fine_size, slots(each, self._fine_size, self._zone), counted, self._coverage)
            for each, counted in zip(periods, rows, strict=True)
        )

    def with_period(self, number: int, against: str, span: Span, rows: Sequence[Row]) -> ComparedOut:
        """Compare with another period: the number in `others`, the choice of it, the period, and its counts."""
        places = slots(span.period, self._size, self._zone)
        whole = [row for row in rows if row.part & Part.PERIOD]
        ins, outs = _sums(whole)
        return ComparedOut(
            against=against,
            from_=span.period.first,
            to=span.period.last,
            covered=_covered(self._coverage, places),
            in_=ins,
            out=outs,
            so_far=self._so_far(_until(self._zone, span, rows)),
            comparable=_comparable(compare(self._fine, self._fine_others[number])),
            buckets=[ComparedBucketOut(**dict(bucket)) for bucket in _buckets(places, whole, self._coverage)],
        )

    async def with_typical(self, connection: asyncpg.Connection, places: Sequence[TimeSlot]) -> ComparedOut:
        """Compare with the typical days before the period, whose buckets are `places`."""
        before = history_before(self._own.period)
        (history,) = await read_buckets(connection, self._reading, [Span(before)], self._fine_size)
        typical = TypicalDays(self._own.period, self._fine_size, history, self._covered_dates(before, history))
        by_place = self._fine.within(places)
        whole = typical.spread(chain.from_iterable(by_place))
        so_far = typical.spread(self._fine.elapsed())
        return ComparedOut(
            against=Against.TYPICAL,
            from_=min(typical.days, default=before.first),
            to=max(typical.days, default=before.last),
            days=typical.least,
            in_=whole.ins,
            out=whole.outs,
            so_far=self._so_far(UntilOut(until=None, in_=so_far.ins, out=so_far.outs)),
            comparable=_comparable(compare_with_typical(self._fine, typical)),
            buckets=[
                ComparedBucketOut(
                    start=place.start,
                    end=place.end,
                    label=place.label,
                    in_=spread.ins,
                    out=spread.outs,
                    low=spread.low,
                    high=spread.high,
                )
                for place, spread in zip(places, map(typical.spread, by_place), strict=True)
                if typical.days
            ],
        )

    def _covered_dates(self, period: DateRange, rows: Iterable[Row]) -> set[date]:
        """The dates that were counted; where that is not known, those with counts."""
        counted = {wall_clock(row.key, self._fine_size).date() for row in rows}
        shares = (
            (day.start.date(), self._coverage.share(day.start, day.end)) for day in slots(period, Size.DAY, self._zone)
        )
        return {day for day, share in shares if share.suffices_or(unknown=day in counted)}

    def _so_far(self, then: UntilOut) -> SoFarOut | None:
        if self._own.until is None:
            return None
        return SoFarOut(now=_until(self._zone, self._own, self._rows), then=then)


def _spans(
    reading: CountSelection, period: DateRange, against: Sequence[str], now: datetime
) -> tuple[Span, list[Span]]:
    """Spans of the period and its comparison periods; with the present time, if the period is under way in a store."""
    quarter = quarter_of(now)

    def present(where: ZoneInfo) -> datetime:
        return quarter.astimezone(where).replace(tzinfo=None)

    def compared(other: DateRange) -> Span:
        return Span(other, lambda where: period.counterpart(present(where), other))

    others = [period.before(choice) for choice in against if choice != Against.TYPICAL]
    if any(present(time_zone_named(name)) in period for name in {store.time_zone for store in reading.stores}):
        return Span(period, present if against else None), [compared(other) for other in others]
    return Span(period), [Span(other) for other in others]


def _all_series(rows: Iterable[Row], places: Sequence[TimeSlot], by: By, coverage: CoverageOfStores) -> list[SeriesOut]:
    """The series of a period, in order: of all that was counted or covered. The total is always one."""
    by_series: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.part & Part.PERIOD:
            by_series[row.series].append(row)
    coverages = coverage.by(SERIES[by])
    covered = {names for names, each in coverages.items() if each.has_any}
    if by is By.TOTAL:
        covered.add(())
    return [
        _series(dict(zip(SERIES[by], names, strict=True)), places, by_series[names], coverages.get(names, UNKNOWN))
        for names in sorted({*by_series, *covered})
    ]


def _series(
    names: dict[str, str], places: Sequence[TimeSlot], rows: Sequence[Row], coverage: CoverageOfStores
) -> SeriesOut:
    ins, outs = _sums(rows)
    return SeriesOut(
        store=names.get("store"),
        camera=names.get("camera"),
        line=names.get("line"),
        covered=_covered(coverage, places),
        in_=ins,
        out=outs,
        buckets=_buckets(places, rows, coverage),
    )


def _buckets(places: Sequence[TimeSlot], rows: Iterable[Row], coverage: CoverageOfStores) -> list[BucketOut]:
    counts = sums(rows, lambda row: row.key)
    return [_bucket_out(place, *counts[place.key], coverage) for place in places]


def _bucket_out(place: TimeSlot, ins: int, outs: int, coverage: CoverageOfStores) -> BucketOut:
    covered = coverage.share(place.start, place.end).fraction
    return BucketOut(start=place.start, end=place.end, label=place.label, in_=ins, out=outs, covered=covered)


def _covered(coverage: CoverageOfStores, places: Sequence[TimeSlot]) -> float | None:
    """The coverage of a whole period."""
    return coverage.share(places[0].start, places[-1].end).fraction if places else None


def _comparable(comparable: Comparable) -> ComparableOut:
    now, then = (InOutCounts(in_=counts.ins, out=counts.outs) for counts in (comparable.now, comparable.then))
    share = comparable.compared / comparable.elapsed if comparable.elapsed else 0.0
    return ComparableOut(now=now, then=then, hours=round(comparable.compared / 3600, 2), share=round(share, 3))


def _until(where: ZoneInfo | None, span: Span, rows: Iterable[Row]) -> UntilOut:
    ins, outs = _sums(row for row in rows if row.part & Part.SO_FAR)
    moment = span.until(where).replace(tzinfo=where) if where and span.until else None
    return UntilOut(until=moment, in_=ins, out=outs)


def _sums(rows: Iterable[Row]) -> tuple[int, int]:
    return sums(rows, lambda _: None)[None]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return instant(day, time(), zone)
