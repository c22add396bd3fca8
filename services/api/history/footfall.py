"""Footfall: what was counted in a period, by bucket and series; its peak hour; and what it is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import asyncpg

from services.api.history.period import Against, Key, Size, Slot, hour_of, slots
from services.api.history.repository import SERIES, By, Reading, Row, Until, read_buckets, read_peak, read_total
from services.api.history.schemas import BucketOut, ComparedOut, FootfallOut, SeriesOut, SoFarOut, UntilOut
from services.kit.local_time import quarter_of
from services.kit.tables import Store
from services.kit.zones import zone


async def read_footfall(
    connection: asyncpg.Connection, reading: Reading, size: Size, by: By, against: Iterable[Against], now: datetime
) -> FootfallOut:
    """All that is told of a period.

    Args:
        connection: inside one transaction that sees one picture.
        reading: whose counts, of when.
        size: of the buckets.
        by: what makes a series.
        against: what the period is compared with.
        now: the present moment, UTC: tells how far a period is.
    """
    where, period = common_zone(reading.stores), reading.period
    series = await read_series(connection, reading, size, by)
    return FootfallOut(
        run=reading.run,
        time_zone=where.key if where else None,
        from_=period.first,
        to=period.last,
        bucket=size,
        open_only=reading.open_only,
        in_=sum(one.in_ for one in series),
        out=sum(one.out for one in series),
        series=series,
        compared=[await _compare(connection, reading, size, one, now) for one in against],
    )


async def read_peak_hour(connection: asyncpg.Connection, reading: Reading) -> BucketOut | None:
    """The local hour with the most INs, the first of several; None where nobody came in."""
    row = await read_peak(connection, reading)
    return None if row is None else _show(hour_of(row.key, common_zone(reading.stores)), row.ins, row.outs)


def common_zone(stores: Sequence[Store]) -> ZoneInfo | None:
    """The time zone of stores that are all in one."""
    names = {store.time_zone for store in stores}
    return zone(names.pop()) if len(names) == 1 else None


async def read_series(connection: asyncpg.Connection, reading: Reading, size: Size, by: By) -> list[SeriesOut]:
    """The series of a period, in order. The total is one, also where nothing was counted."""
    places = slots(reading.period, size, common_zone(reading.stores))
    found: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    if by is By.TOTAL:
        found[()] = []
    for row in await read_buckets(connection, reading, size, by):
        found[row.series].append(row)
    return [_series(dict(zip(SERIES[by], names, strict=True)), places, rows) for names, rows in sorted(found.items())]


def _series(names: dict[str, str], places: Sequence[Slot], rows: Sequence[Row]) -> SeriesOut:
    sums: defaultdict[Key, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        ins, outs = sums[row.key]
        sums[row.key] = ins + row.ins, outs + row.outs
    return SeriesOut(
        store=names.get("store"),
        camera=names.get("camera"),
        line=names.get("line"),
        in_=sum(row.ins for row in rows),
        out=sum(row.outs for row in rows),
        buckets=[_show(place, *sums.get(place.key, (0, 0))) for place in places],
    )


async def _compare(
    connection: asyncpg.Connection, reading: Reading, size: Size, against: Against, now: datetime
) -> ComparedOut:
    other = replace(reading, period=reading.period.before(against))
    (series,) = await read_series(connection, other, size, By.TOTAL)
    return ComparedOut(
        against=against,
        from_=other.period.first,
        to=other.period.last,
        in_=series.in_,
        out=series.out,
        so_far=await _so_far(connection, reading, other, now),
        buckets=series.buckets,
    )


async def _so_far(connection: asyncpg.Connection, reading: Reading, other: Reading, now: datetime) -> SoFarOut | None:
    def present(store: Store) -> datetime:
        return quarter_of(now).astimezone(zone(store.time_zone)).replace(tzinfo=None)

    def then(store: Store) -> datetime:
        return reading.period.counterpart(present(store), other.period)

    if not any(present(store) in reading.period for store in reading.stores):
        return None
    return SoFarOut(
        now=await _until(connection, replace(reading, until=present), present),
        then=await _until(connection, replace(other, until=then), then),
    )


async def _until(connection: asyncpg.Connection, reading: Reading, until: Until) -> UntilOut:
    ins, outs = await read_total(connection, reading)
    where = common_zone(reading.stores)
    moment = until(reading.stores[0]).replace(tzinfo=where) if where else None
    return UntilOut(until=moment, in_=ins, out=outs)


def _show(place: Slot, ins: int, outs: int) -> BucketOut:
    return BucketOut(start=place.start, end=place.end, label=place.label, in_=ins, out=outs)
