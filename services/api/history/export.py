"""History as CSV, streamed in chunks: an export is never in memory as a whole, neither here nor in the driver.

Postgres writes the CSV of crossings itself (COPY), and waits while the client does not read.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

import asyncpg

from services.api.database import CONNECT_TIMEOUT
from services.api.history.coverage import UNKNOWN
from services.api.history.footfall import common_zone, coverage_of
from services.api.history.period import DateRange, Key, Size, slots
from services.api.history.repository import SERIES, By, CountSelection, Span, read_buckets
from services.kit.database.effective_counts import effective_counts
from services.kit.database.tables import Store
from services.kit.local_time import DAY, OffsetPeriod, offset_periods, time_zone_named
from services.kit.tasks import cancel_and_wait

CROSSINGS_HEADER = b"at,store,camera,line,direction,place,id,line_revision,model\n"
FOOTFALL_HEADER = ("start", "end", "label", "store", "camera", "line", "in", "out", "covered")
PIECES = 4
"""Chunks that are read ahead, each of at most some 100 KB."""
PIECE = timedelta(days=28)

# The UTC offset is constant in a stretch, and is appended to local times; the session's time zone is UTC.
_CROSSINGS = """
SELECT to_char(at + $5::interval, 'YYYY-MM-DD"T"HH24:MI:SS.MS') || $6::text AS at,
       store, camera, line, direction, place, id, line_revision, model
FROM {crossings} c WHERE store = $2 AND c.at >= $3 AND c.at < $4 ORDER BY c.at, c.id
""".format(crossings=effective_counts("crossing", "$1"))
# A store's rows are scattered among those of others: an index scan waits for the disk at each page. A bitmap scan reads
# a month's pages in order, and Postgres prefetches many of them where the system supports it.
_AHEAD = """
SELECT set_config('enable_indexscan', 'off', true), (
    SELECT set_config(name, '128', true) FROM pg_settings WHERE name = 'effective_io_concurrency' AND setting <> '0')
"""


@asynccontextmanager
async def exporting(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for one export, on one snapshot. Closing it early affects no other request."""
    settings = {"application_name": "metrica-export", "timezone": "UTC"}
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT, server_settings=settings)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection
    finally:
        connection.terminate()  # even within a query: nothing was written


async def crossings_csv(
    connection: asyncpg.Connection, run: str, store: Store, period: DateRange
) -> AsyncIterator[bytes]:
    """A store's crossings on local dates, ordered by time, with local times."""
    yield CROSSINGS_HEADER
    await connection.execute(_AHEAD)
    for stretch in offset_periods(time_zone_named(store.time_zone), period.first, period.last):
        for piece in _by_month(stretch):
            async for data in _copy(connection, run, store.id, piece):
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
        sums: defaultdict[tuple[tuple[str, ...], Key], list[int]] = defaultdict(lambda: [0, 0])
        (rows,) = await read_buckets(connection, reading, [Span(piece)], size, by)
        for row in rows:
            sums[row.series, row.key][0] += row.ins
            sums[row.series, row.key][1] += row.outs
        places = slots(piece, size, common_zone(reading.stores))
        yield _lines(
            (
                *(place.start.isoformat(), place.end.isoformat(), place.label, *_names(by, names)),
                *sums[names, place.key],
                coverages.get(names, UNKNOWN).share(place.start, place.end).fraction,
            )
            for names in (series or [()] if by is By.TOTAL else series)
            for place in places
        )


async def _copy(connection: asyncpg.Connection, run: str, store: str, piece: OffsetPeriod) -> AsyncIterator[bytes]:
    """Chunks that the database writes. It waits while `PIECES` are unread."""
    ready: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES)

    async def copy() -> None:
        await connection.copy_from_query(
            _CROSSINGS,
            *(run, store, piece.start, piece.end, piece.offset, _written(piece.offset)),
            output=ready.put,
            format="csv",
        )
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


def _written(offset: timedelta) -> str:
    """A UTC offset in ISO 8601."""
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).isoformat()[19:]


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()
