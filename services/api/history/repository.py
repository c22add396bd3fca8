"""Reading counts over stretches of local time: rows of whole days, and rows of quarter hours where days are cut.

The stores that are asked for come from `services.api.access`. The database adds a stretch's offset to UTC, and needs to
know no time zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import asyncpg

from services.api.history.period import Key, Period, Size
from services.kit.local_time import DAY, Stretch, instant, next_quarter, stretches
from services.kit.opening_hours import OpeningHours
from services.kit.standing import standing
from services.kit.tables import Store
from services.kit.zones import zone

Until = Callable[[Store], datetime]
"""Until before which time of its wall clock a store is read."""


class By(StrEnum):
    """What is counted together."""

    TOTAL = "total"
    STORE = "store"
    CAMERA = "camera"
    LINE = "line"


class Row(NamedTuple):
    """INs and OUTs of a series in a bucket."""

    series: tuple[str, ...]
    """Nothing, the store, the camera, or camera and line."""
    key: Key
    ins: int
    outs: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read: which run's counts of which stores, in which local dates.

    Attributes:
        run: `live`, or a replay's name.
        stores: that the caller may read.
        period: the local dates of each store.
        open_only: only quarter hours in which the store is open at some moment.
        until: cuts the period for each store.
    """

    run: str
    stores: Sequence[Store]
    period: Period
    open_only: bool = False
    until: Until | None = None


SERIES: dict[By, tuple[str, ...]] = {
    By.TOTAL: (), By.STORE: ("store",), By.CAMERA: ("camera",), By.LINE: ("camera", "line"),
}  # fmt: skip
"""What tells the series apart."""
_PER_BUCKET = {Size.QUARTER: 900, Size.HOUR: 3600}
_DATES = {
    Size.DAY: "{day}",
    Size.WEEK: "date_trunc('week', ({day})::timestamp)::date",
    Size.MONTH: "date_trunc('month', ({day})::timestamp)::date",
}
# OFFSET 0 lets Postgres look into the index for each store and stretch: without, it joins with all counts there are.
_OF_DAYS = """
SELECT {series} {bucket} AS bucket, sum(c.ins) AS ins, sum(c.outs) AS outs
FROM unnest($2::text[], $3::date[], $4::date[]) AS s (store, first, last)
CROSS JOIN LATERAL (
  SELECT * FROM {counted} c WHERE c.store = s.store AND c.day >= s.first AND c.day <= s.last
  OFFSET 0
) c
GROUP BY {places}
"""
# The week of opening quarters begins with a Monday; the first of January 1970 was a Thursday.
_OF_QUARTERS = """
SELECT {series} {bucket} AS bucket, {shift} AS shift, sum(c.ins) AS ins, sum(c.outs) AS outs
FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::bytea[])
     AS s (store, start, stop, shift, open)
CROSS JOIN LATERAL (
  SELECT *, date_part('epoch', c.bucket)::bigint + s.shift AS local
  FROM {counted} c WHERE c.store = s.store AND c.bucket >= s.start AND c.bucket < s.stop
  OFFSET 0
) c
WHERE s.open IS NULL OR get_byte(s.open, ((c.local / 900 + 288) % 672)::int) = 1
GROUP BY {places}
"""
_TOP = "ORDER BY ins DESC, bucket, shift DESC LIMIT 1"


async def read_buckets(connection: asyncpg.Connection, reading: Reading, size: Size, by: By = By.TOTAL) -> list[Row]:
    """The counts by bucket; a bucket without a count has no row."""
    whole, parts = _places(reading, size)
    rows = await _of_days(connection, reading.run, whole, size, by) if whole else []
    if parts:
        rows += await _of_quarters(connection, reading, parts, size, by)
    return rows


async def read_peak(connection: asyncpg.Connection, reading: Reading) -> Row | None:
    """The local hour with the most INs of all together; None where nobody came in."""
    _, parts = _places(reading, Size.HOUR)
    rows = await _of_quarters(connection, reading, parts, Size.HOUR, By.TOTAL, only=_TOP)
    return next((row for row in rows if row.ins), None)


async def read_total(connection: asyncpg.Connection, reading: Reading) -> tuple[int, int]:
    """INs and OUTs of all together."""
    rows = await read_buckets(connection, reading, Size.MONTH)
    return sum(row.ins for row in rows), sum(row.outs for row in rows)


def _places(reading: Reading, size: Size) -> tuple[list[tuple[Store, Period]], list[tuple[Store, Stretch]]]:
    """Which days of the stores are read whole, and which stretches by their quarters."""
    whole: list[tuple[Store, Period]] = []
    parts: list[tuple[Store, Stretch]] = []
    first, last = reading.period.first, reading.period.last
    for store in reading.stores:
        where, until = zone(store.time_zone), reading.until(store) if reading.until else None
        cut = until.date() if until else last + DAY
        from_quarters = first if size.within_days or reading.open_only else min(max(first, cut), last + DAY)
        if first < from_quarters:
            whole.append((store, Period(first, from_quarters - DAY)))
        end = next_quarter(instant(cut, until.time(), where)) if until else None
        parts += [(store, piece) for piece in _before(end, stretches(where, from_quarters, min(last, cut)))]
    return whole, parts


def _before(end: datetime | None, pieces: Iterable[Stretch]) -> Iterator[Stretch]:
    for piece in pieces:
        if end is None or piece.end <= end:
            yield piece
        elif piece.start < end:
            yield Stretch(piece.start, end, piece.offset)


async def _of_days(
    connection: asyncpg.Connection, run: str, whole: Sequence[tuple[Store, Period]], size: Size, by: By
) -> list[Row]:
    query = _OF_DAYS.format(
        series=_columns(by),
        places=_numbers(len(SERIES[by]) + 1),
        bucket=_DATES[size].format(day="c.day"),
        counted=standing("count_day", "$1"),
    )
    stores = [store.id for store, _ in whole]
    firsts, lasts = [days.first for _, days in whole], [days.last for _, days in whole]
    return [_row(row, by, row["bucket"]) for row in await connection.fetch(query, run, stores, firsts, lasts)]


async def _of_quarters(
    connection: asyncpg.Connection,
    reading: Reading,
    parts: Sequence[tuple[Store, Stretch]],
    size: Size,
    by: By,
    *,
    only: str = "",
) -> list[Row]:
    length = _PER_BUCKET.get(size)
    date_of_local = "(date '1970-01-01' + (c.local / 86400)::int)"
    # Stores in several zones are put together by their wall clocks, on which the offset is not seen.
    one_clock = len({store.time_zone for store, _ in parts}) == 1
    query = _OF_QUARTERS.format(
        series=_columns(by),
        places=_numbers(len(SERIES[by]) + 2),
        bucket=f"c.local / {length}" if length else _DATES[size].format(day=date_of_local),
        shift="s.shift" if length and one_clock else "0",
        counted=standing("count_quarter", "$1"),
    )
    rows = await connection.fetch(
        query + only,
        reading.run,
        [store.id for store, _ in parts],
        [piece.start for _, piece in parts],
        [piece.end for _, piece in parts],
        [int(piece.offset.total_seconds()) for _, piece in parts],
        [open_quarters(store) if reading.open_only else None for store, _ in parts],
    )
    return [_row(row, by, (row["bucket"], row["shift"]) if length else row["bucket"]) for row in rows]


def open_quarters(store: Store) -> bytes | None:
    """The 672 quarter hours of a week, from Monday's first: 1 where the store is open; None where it always is."""
    hours = OpeningHours.model_validate(store.opening_hours)
    if not hours.said:
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


def _row(row: asyncpg.Record, by: By, key: Key) -> Row:
    return Row(tuple(row[column] for column in SERIES[by]), key, row["ins"], row["outs"])
