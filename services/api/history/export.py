"""History as CSV, streamed in chunks: an export is never in memory as a whole, neither here nor in the driver.

Postgres writes the CSV of crossings itself (COPY), and waits while the client does not read.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta

import asyncpg

from services.api.history.coverage import UNKNOWN
from services.api.history.footfall import common_zone, coverage_of, sums
from services.api.history.period import DateRange, Size, slots
from services.api.history.repository import SERIES, By, CountSelection, Span, copy_crossings, read_ahead, read_buckets
from services.kit.database.tables import Store
from services.kit.local_time import DAY, OffsetPeriod, offset_periods, time_zone_named
from services.kit.tasks import cancel_and_wait

CROSSINGS_HEADER = b"at,store,camera,line,direction,place,id,line_revision,model\n"
FOOTFALL_HEADER = ("start", "end", "label", "store", "camera", "line", "in", "out", "covered")
PIECES = 4
"""Chunks that are read ahead, each of at most some 100 KB."""
PIECE = timedelta(days=28)


async def crossings_csv(
    connection: asyncpg.Connection, run: str, store: Store, period: DateRange
) -> AsyncIterator[bytes]:
    """A store's crossings on local dates, ordered by time, with local times."""
    yield CROSSINGS_HEADER
    await read_ahead(connection)
    for stretch in offset_periods(time_zone_named(store.time_zone), period.first, period.last):
        for piece in _by_month(stretch):
            async for data in _copy(connection, run, store, piece):
                yield data


async def footfall_csv(
    connection: asyncpg.Connection, reading: CountSelection, period: DateRange, size: Size, by: By, now: datetime
) -> AsyncIterator[bytes]:
    """All buckets of each series, empty ones too; series after series, in pieces of four weeks.

    `covered` is the share of the bucket that was counted, 0 to 1: empty if not known, as for a bucket to come.
    """
    yield _lines([FOOTFALL_HEADER])
    (whole,) = await read_buckets(connection, reading, [Span(period)], Size.MONTH, by)
    coverage = await coverage_of(connection, reading, [period], now)
    coverages = coverage.by(SERIES[by])
    series = sorted({*(row.series for row in whole), *(names for names, each in coverages.items() if each.has_any)})
    for piece in _pieces(period, size):
        (rows,) = await read_buckets(connection, reading, [Span(piece)], size, by)
        counts = sums(rows, lambda row: (row.series, row.key))
        places = slots(piece, size, common_zone(reading.stores))
        yield _lines(
            (
                *(place.start.isoformat(), place.end.isoformat(), place.label, *_names(by, names)),
                *counts[names, place.key],
                coverages.get(names, UNKNOWN).share(place.start, place.end).fraction,
            )
            for names in (series or [()] if by is By.TOTAL else series)
            for place in places
        )


async def _copy(connection: asyncpg.Connection, run: str, store: Store, piece: OffsetPeriod) -> AsyncIterator[bytes]:
    """Chunks that the database writes. It waits while `PIECES` are unread."""
    ready: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES)

    async def copy() -> None:
        await copy_crossings(connection, run, store, piece, ready.put)
        await ready.put(None)

    copying = asyncio.create_task(copy())
    try:
        while (data := await _first(ready, copying)) is not None:
            yield bytes(data)
    finally:
        await cancel_and_wait(copying)  # `_first` has raised its error, or the reader has stopped


async def _first(ready: asyncio.Queue[bytes | None], copying: asyncio.Task[None]) -> bytes | None:
    """The next chunk, or None at the end. Raises the error of the copying."""
    taking = asyncio.create_task(ready.get())
    await asyncio.wait({taking, copying}, return_when=asyncio.FIRST_COMPLETED)
    if not taking.done() and copying.exception():
        taking.cancel()
        copying.result()
    return await taking


def _by_month(stretch: OffsetPeriod) -> Iterator[OffsetPeriod]:
    """Split a stretch at months of UTC, the partitions of the table, so that each sort is small."""
    start = stretch.start
    while start < stretch.end:
        turn = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1, day=1, hour=0, minute=0)
        yield OffsetPeriod(start, min(turn, stretch.end), stretch.offset)
        start = turn


def _pieces(period: DateRange, size: Size) -> Iterator[DateRange]:
    if not size.within_days:
        yield period
        return
    first = period.first
    while first <= period.last:
        last = min(first + PIECE - DAY, period.last)
        yield DateRange(first, last)
        first = last + DAY


def _names(by: By, series: tuple[str, ...]) -> tuple[str, ...]:
    names = dict(zip(SERIES[by], series, strict=True))
    return tuple(names.get(name, "") for name in ("store", "camera", "line"))


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()
