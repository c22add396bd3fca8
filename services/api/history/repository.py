"""Reads crossings and counts over local time: of whole days from rows of days, of others from rows of quarter hours.

The stores come from `services.api.access`. The database adds the UTC offset of a stretch, and needs no time zones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from enum import IntFlag, StrEnum
from math import inf
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from services.api.database import CONNECT_TIMEOUT
from services.api.history.coverage import LineCoverage
from services.api.history.period import DateRange, Key, Size
from services.api.stores.opening_hours import OpeningHours
from services.api.stores.repository import read_counted_lines
from services.kit.database.effective_counts import effective_counts
from services.kit.database.tables import Store
from services.kit.local_time import DAY, OffsetPeriod, instant, next_quarter, offset_periods, time_zone_named


class By(StrEnum):
    """Grouping of counts into series."""

    TOTAL = "total"
    STORE = "store"
    CAMERA = "camera"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class CountSelection:
    """Selection of counts.

    Attributes:
        run: `live`, or the name of a replay.
        stores: stores that the caller may read.
        open_only: only quarter hours in which the store is open at some moment.
    """

    run: str
    stores: Sequence[Store]
    open_only: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Local dates of each store, and the end of the part that is compared.

    Attributes:
        until: exclusive wall-clock end, in a time zone, of the counts "so far"; None if they are not needed.
    """

    period: DateRange
    until: Callable[[ZoneInfo], datetime] | None = None


class CrossingFilter(NamedTuple):
    """Camera and line of crossings; None for all."""

    camera: str | None = None
    line: str | None = None


Position = tuple[datetime, UUID]
"""Time and id of a crossing, by which lists are ordered."""


class Part(IntFlag):
    """Parts of a span that a count belongs to."""

    PERIOD = 1
    SO_FAR = 2


class Row(NamedTuple):
    """INs and OUTs of a series in a bucket."""

    series: tuple[str, ...]
    """Names of the series: none, the store, the camera, or camera and line."""
    key: Key
    ins: int
    outs: int
    part: Part


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces of a span in a time zone, to be read from rows of whole days, and from rows of quarter hours."""

    days: list[tuple[DateRange, Part]]
    quarters: list[tuple[OffsetPeriod, Part]]


SERIES: dict[By, tuple[str, ...]] = {
    By.TOTAL: (), By.STORE: ("store",), By.CAMERA: ("camera",), By.LINE: ("camera", "line"),
}  # fmt: skip
"""Columns that distinguish the series."""
_PER_BUCKET = {Size.QUARTER: 900, Size.HOUR: 3600}
_DATES = {
    Size.DAY: "{day}",
    Size.WEEK: "date_trunc('week', ({day})::timestamp)::date",
    Size.MONTH: "date_trunc('month', ({day})::timestamp)::date",
}
# OFFSET 0 makes Postgres use the index for each store and stretch: without, it joins with all counts.
_OF_DAYS = """
SELECT {series} s.place, {bucket} AS bucket, sum(c.ins) AS ins, sum(c.outs) AS outs
FROM unnest($2::text[], $3::int[], $4::date[], $5::date[]) AS s (store, place, first, last)
CROSS JOIN LATERAL (
  SELECT * FROM {counted} c WHERE c.store = s.store AND c.day >= s.first AND c.day <= s.last
  OFFSET 0
) c
GROUP BY {grouped}
"""
# The week of opening quarters begins on Monday; 1 January 1970 was a Thursday.
_OF_QUARTERS = """
SELECT {series} s.place, {bucket} AS bucket, {shift} AS shift, sum(c.ins) AS ins, sum(c.outs) AS outs
FROM unnest($2::text[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::int[], $7::bytea[])
     AS s (store, place, start, stop, shift, open)
CROSS JOIN LATERAL (
  SELECT *, date_part('epoch', c.bucket)::bigint + s.shift AS local
  FROM {counted} c WHERE c.store = s.store AND c.bucket >= s.start AND c.bucket < s.stop
  OFFSET 0
) c
WHERE s.open IS NULL OR get_byte(s.open, ((c.local / 900 + 288) % 672)::int) = 1
GROUP BY {grouped}
"""
_COVERAGE = """
SELECT camera, line, start, until FROM coverage
WHERE run = $1 AND store = ANY($2::text[]) AND until > $3 AND start < $4
UNION ALL
SELECT c.camera, c.line, GREATEST(c.start, p.since), LEAST(c.until, p.until)
FROM promotion p JOIN coverage c ON c.run = p.run AND c.store = p.store AND c.camera = p.camera AND c.line = p.line
WHERE $1 = 'live' AND p.store = ANY($2::text[]) AND p.revoked_at IS NULL
  AND c.until > GREATEST(p.since, $3) AND c.start < LEAST(p.until, $4)
"""
_LISTED = """
SELECT at, id, camera, line, direction, place, model
FROM {crossings} c
WHERE store = $2 AND at >= $3 AND at < $4 AND ($5::text IS NULL OR camera = $5) AND ($6::text IS NULL OR line = $6)
  AND ($7::timestamptz IS NULL OR (at, id) < ($7, $8::uuid))
ORDER BY at DESC, id DESC LIMIT $9
""".format(crossings=effective_counts("crossing", "$1"))
_TOP = "ORDER BY ins DESC, bucket, shift DESC LIMIT 1"
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


async def read_buckets(
    connection: asyncpg.Connection, reading: CountSelection, spans: Sequence[Span], size: Size, by: By = By.TOTAL
) -> list[list[Row]]:
    """Read the counts of each span by bucket. An empty bucket has no row, one that is cut has two."""
    days: list[tuple[Store, int, DateRange]] = []
    quarters: list[tuple[Store, int, OffsetPeriod]] = []
    for name, stores in _by_time_zone(reading.stores).items():
        for number, span in enumerate(spans):
            pieces = _pieces(span, size, time_zone_named(name), open_only=reading.open_only)
            days += [(store, _place(number, part), piece) for piece, part in pieces.days for store in stores]
            quarters += [(store, _place(number, part), piece) for piece, part in pieces.quarters for store in stores]
    rows: list[list[Row]] = [[] for _ in spans]
    for number, row in await _of_days(connection, reading.run, days, size, by) if days else ():
        rows[number].append(row)
    for number, row in await _of_quarters(connection, reading, quarters, size, by) if quarters else ():
        rows[number].append(row)
    return rows


async def read_peak(connection: asyncpg.Connection, reading: CountSelection, period: DateRange) -> Row | None:
    """Read the local hour with the most INs in total; None without an IN."""
    quarters = [
        (store, _place(0, Part.PERIOD), piece)
        for store in reading.stores
        for piece in offset_periods(time_zone_named(store.time_zone), period.first, period.last)
    ]
    rows = await _of_quarters(connection, reading, quarters, Size.HOUR, By.TOTAL, only=_TOP)
    return next((row for _, row in rows if row.ins), None)


async def read_crossings(
    connection: asyncpg.Connection,
    reading: CountSelection,
    period: DateRange,
    wanted: CrossingFilter,
    after: Position | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Read crossings of one store on local dates, the newest first, older than a position."""
    (store,) = reading.stores
    zone = time_zone_named(store.time_zone)
    start, end = (instant(day, time(), zone) for day in (period.first, period.last + DAY))
    at, id_ = after or (None, None)
    end = end if at is None else min(end, at + timedelta(microseconds=1))  # so that the index begins there
    rows: list[asyncpg.Record] = await connection.fetch(
        _LISTED, reading.run, store.id, start, end, wanted.camera, wanted.line, at, id_, limit
    )
    return rows


async def read_coverage(
    connection: asyncpg.Connection, reading: CountSelection, start: datetime, end: datetime
) -> list[LineCoverage]:
    """Read when the lines of the stores were counted, between two moments; without an edge device's lines."""
    stores = [store.id for store in reading.stores]
    intervals: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in await connection.fetch(_COVERAGE, reading.run, stores, start, end):
        intervals[row["camera"], row["line"]].append((row["start"].timestamp(), row["until"].timestamp()))
    return [
        LineCoverage(
            store=each.store,
            camera=each.camera,
            line=each.line,
            since=each.since.timestamp(),
            until=inf if each.is_configured else each.until.timestamp(),
            intervals=intervals[each.camera, each.line],
        )
        for each in await read_counted_lines(connection, reading.run, reading.stores)
    ]


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


async def read_ahead(connection: asyncpg.Connection) -> None:
    """Let Postgres prefetch many pages in this transaction."""
    await connection.execute(_AHEAD)


async def copy_crossings(
    connection: asyncpg.Connection,
    run: str,
    store: Store,
    piece: OffsetPeriod,
    output: Callable[[bytes], Awaitable[None]],
) -> None:
    """Write a store's crossings in a stretch of time as CSV, with local times, ordered by time."""
    offset = datetime(2000, 1, 1, tzinfo=timezone(piece.offset)).isoformat()[19:]  # ISO 8601
    arguments = run, store.id, piece.start, piece.end, piece.offset, offset
    await connection.copy_from_query(_CROSSINGS, *arguments, output=output, format="csv")


def _pieces(span: Span, size: Size, where: ZoneInfo, *, open_only: bool) -> _Pieces:
    first, last = span.period.first, span.period.last
    until = span.until(where) if span.until else None
    end = next_quarter(instant(until.date(), until.time(), where)) if until else None
    if size.within_days or open_only:
        return _Pieces([], list(_parted(offset_periods(where, first, last), end)))
    if until is None:
        return _Pieces([(span.period, Part.PERIOD)], [])
    day = until.date()
    days = [
        (DateRange(first, min(day - DAY, last)), Part.PERIOD | Part.SO_FAR),
        (DateRange(max(first, day), last), Part.PERIOD),
    ]
    # The day that is cut has whole rows in the period; its counts so far are in its quarter hours.
    cut = _parted(offset_periods(where, day, day), end) if first <= day <= last else ()
    return _Pieces(
        [(piece, part) for piece, part in days if piece.days > 0],
        [(piece, Part.SO_FAR) for piece, part in cut if part & Part.SO_FAR],
    )


def _parted(pieces: Sequence[OffsetPeriod], end: datetime | None) -> Iterator[tuple[OffsetPeriod, Part]]:
    """Stretches, cut at the end of the counts so far."""
    for piece in pieces:
        if end is None or end <= piece.start:
            yield piece, Part.PERIOD
        elif piece.end <= end:
            yield piece, Part.PERIOD | Part.SO_FAR
        else:
            yield OffsetPeriod(piece.start, end, piece.offset), Part.PERIOD | Part.SO_FAR
            yield OffsetPeriod(end, piece.end, piece.offset), Part.PERIOD


async def _of_days(
    connection: asyncpg.Connection, run: str, days: Sequence[tuple[Store, int, DateRange]], size: Size, by: By
) -> Iterator[tuple[int, Row]]:
    query = _OF_DAYS.format(
        series=_columns(by),
        grouped=_numbers(len(SERIES[by]) + 2),
        bucket=_DATES[size].format(day="c.day"),
        counted=effective_counts("count_day", "$1"),
    )
    rows = await connection.fetch(
        query,
        run,
        [store.id for store, _, _ in days],
        [place for _, place, _ in days],
        [piece.first for _, _, piece in days],
        [piece.last for _, _, piece in days],
    )
    return (_row(row, by, row["bucket"]) for row in rows)


async def _of_quarters(
    connection: asyncpg.Connection,
    reading: CountSelection,
    quarters: Sequence[tuple[Store, int, OffsetPeriod]],
    size: Size,
    by: By,
    *,
    only: str = "",
) -> Iterator[tuple[int, Row]]:
    length = _PER_BUCKET.get(size)
    date_of_local = "(date '1970-01-01' + (c.local / 86400)::int)"
    # Stores in several time zones are grouped by wall clock, without offsets.
    one_clock = len({store.time_zone for store in reading.stores}) == 1
    query = _OF_QUARTERS.format(
        series=_columns(by),
        grouped=_numbers(len(SERIES[by]) + 3),
        bucket=f"c.local / {length}" if length else _DATES[size].format(day=date_of_local),
        shift="s.shift" if length and one_clock else "0",
        counted=effective_counts("count_quarter", "$1"),
    )
    rows = await connection.fetch(
        query + only,
        reading.run,
        [store.id for store, _, _ in quarters],
        [place for _, place, _ in quarters],
        [piece.start for _, _, piece in quarters],
        [piece.end for _, _, piece in quarters],
        [int(piece.offset.total_seconds()) for _, _, piece in quarters],
        [open_quarters(store) if reading.open_only else None for store, _, _ in quarters],
    )
    return (_row(row, by, (row["bucket"], row["shift"]) if length else row["bucket"]) for row in rows)


def open_quarters(store: Store) -> bytes | None:
    """The 672 quarter hours of a week from Monday on, 1 if the store is open in it; None if it always is."""
    hours = OpeningHours.model_validate(store.opening_hours)
    if not hours.restricted:
        return None
    return bytes(
        any(opens < quarter_ends and quarter < closes for opens, closes in hours.of(weekday))
        for weekday in range(7)
        for quarter, quarter_ends in _QUARTERS_OF_A_DAY
    )


_QUARTERS_OF_A_DAY = [(f"{n // 4:02}:{n % 4 * 15:02}", f"{(n + 1) // 4:02}:{(n + 1) % 4 * 15:02}") for n in range(96)]


def _columns(by: By) -> str:
    return "".join(f"c.{column}, " for column in SERIES[by])


def _numbers(count: int) -> str:
    return ", ".join(str(n + 1) for n in range(count))


def _by_time_zone(stores: Sequence[Store]) -> dict[str, list[Store]]:
    by_zone: defaultdict[str, list[Store]] = defaultdict(list)
    for store in stores:
        by_zone[store.time_zone].append(store)
    return by_zone


def _place(span: int, part: Part) -> int:
    """Encode a span's number and part as one number."""
    return span << 2 | part.value


def _row(row: asyncpg.Record, by: By, key: Key) -> tuple[int, Row]:
    """Decode a row, with the number of its span."""
    series = tuple(row[column] for column in SERIES[by])
    return row["place"] >> 2, Row(series, key, row["ins"], row["outs"], Part(row["place"] & 3))
