"""The month partitions of `crossing`, created with their first row.

Each is created as a separate table and then attached, which lets others read and write `crossing` meanwhile; CREATE …
PARTITION OF would block them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

_LOCK = 0x6D657472_70617274  # "metrpart"
_NAME = re.compile(r"crossing_y(\d{4})m(\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month of a moment."""
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    @property
    def next(self) -> Month:
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def begin(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def first(self) -> str:
        """Its first instant, as Postgres reads it."""
        return f"{self.year:04}-{self.month:02}-01 00:00:00+00"

    @property
    def table(self) -> str:
        """Name of its partition."""
        return f"crossing_y{self.year:04}m{self.month:02}"


def is_partition(table: str) -> bool:
    """Tell whether a table is one of the month partitions."""
    return _NAME.fullmatch(table) is not None


async def existing(connection: asyncpg.Connection) -> list[Month]:
    """The months that have a partition, in order."""
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'crossing'::regclass"
    )
    names = [_NAME.fullmatch(table) for (table,) in rows]
    return sorted(Month(int(name[1]), int(name[2])) for name in names if name)


async def exists(connection: asyncpg.Connection, month: Month) -> bool:
    """Tell whether a month has its partition."""
    return await connection.fetchval("SELECT to_regclass($1)", month.table) is not None


async def create(connection: asyncpg.Connection, month: Month) -> None:
    """Create a month's table, which is no partition yet, so that queries do not see its rows."""
    await connection.execute(f"CREATE TABLE {month.table} (LIKE crossing INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")


async def attach(connection: asyncpg.Connection, month: Month) -> None:
    """Attach a month's table as a partition. Postgres builds the keys and indexes that it lacks."""
    await connection.execute(
        f"ALTER TABLE crossing ATTACH PARTITION {month.table}"
        f" FOR VALUES FROM ('{month.first}') TO ('{month.next.first}')"
    )


class Partitions:
    """Cache of the months that have a partition."""

    def __init__(self) -> None:
        self._known: set[Month] = set()

    async def ensure(self, connection: asyncpg.Connection, moments: Iterable[datetime]) -> None:
        """Create the missing partitions for rows of these moments. Not inside a transaction that holds other locks."""
        for month in sorted({Month.of(moment) for moment in moments} - self._known):
            async with connection.transaction():
                # Of replicas that reach a new month together, the second waits here, and then finds the partition.
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                if not await exists(connection, month):
                    await create(connection, month)
                    await attach(connection, month)
            self._known.add(month)

    def forget(self) -> None:
        """Clear the cache, as a partition may have been dropped."""
        self._known.clear()
