"""A store's local day in quarter hours and hours, from the rows that history reads. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from services.api.counts.schemas import BucketOut, Period
from services.api.history.footfall import sums
from services.api.history.period import DateRange, Key, Size, slots
from services.api.history.repository import Row

_SIZES = {Period.QUARTER: (Size.QUARTER, 1), Period.HOUR: (Size.HOUR, 4)}
"""Of each period the size of a bucket, and its quarter hours."""


def day_buckets(day: date, where: ZoneInfo, rows: Sequence[Row], period: Period) -> list[BucketOut]:
    """All buckets of a local day, empty ones too. An hour that clocks repeat is two: the offset tells them apart."""
    size, quarters = _SIZES[period]

    def bucket_of(row: Row) -> Key:
        assert isinstance(row.key, tuple)
        number, offset = row.key
        return number // quarters, offset

    counts = sums(rows, bucket_of)
    return [
        BucketOut(start=slot.start, end=slot.end, in_=counts[slot.key][0], out=counts[slot.key][1])
        for slot in slots(DateRange(day, day), size, where)
    ]
