"""Removing what is older than an organization keeps: crossings, every count of them, and what was said meanwhile.

Kept are the present month and as many whole months before it as the organization says, by UTC. A month's partition in
which nobody keeps anything is dropped, in others rows are deleted. The local day that the boundary cuts is counted anew
from what is left of it, so that the rollups equal the record at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.persistence.partitions import Month, existing
from services.persistence.rollups import cut

LOCK_TIMEOUT = "2s"
"""A partition is dropped while nobody reads the record. Who reads for longer is not disturbed: it is tried again."""
LOG_MONTHS_KEPT = 24
LONG = 600.0
"""Seconds that a month of rows may take."""

_ORGANIZATIONS = """
SELECT o.id, o.months_kept, array_remove(array_agg(s.id ORDER BY s.id), NULL) AS stores
FROM organization o LEFT JOIN store s ON s.organization = o.id GROUP BY o.id ORDER BY o.id
"""
_NOBODYS = (
    "SELECT DISTINCT v.store FROM store_version v LEFT JOIN store s ON s.id = v.store WHERE s.id IS NULL ORDER BY 1"
)
_OLD = "SELECT count(*) AS crossings, min(at) AS oldest FROM crossing WHERE store = ANY($1::text[]) AND at < $2"
_FORGET_CHANGES = "DELETE FROM audit_entry WHERE at < $1"
_LOCK = "SELECT run, time_zone FROM store_version WHERE store = $1 ORDER BY run FOR UPDATE"
_ANY_COUNT = "SELECT EXISTS (SELECT FROM count_quarter WHERE run = $1 AND store = $2 AND bucket < $3)"
_FORGET = (
    "DELETE FROM session_count WHERE store = $1 AND last_at < $2",
    "DELETE FROM run_session WHERE store = $1 AND at < $2",
    "DELETE FROM occupancy_correction WHERE store = $1 AND at < $2",
    "UPDATE store_version SET last_at = NULL WHERE store = $1 AND last_at < $2",
)
# What a service said last before the boundary held at the boundary: without it, nobody could tell how the camera did.
_FORGET_HEALTH = """
DELETE FROM camera_health h USING camera c
WHERE c.id = h.camera AND c.store = $1 AND h.at < $2 AND EXISTS (
    SELECT FROM camera_health later
    WHERE later.camera = h.camera AND later.service = h.service AND later.at > h.at AND later.at <= $2
)
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when whose history is removed. `organization` is None for stores that are no more."""

    organization: str | None
    before: datetime
    stores: Sequence[str]


@dataclass(slots=True)
class Purged:
    """What was removed, and what could not be yet."""

    crossings: int = 0
    months: int = 0
    """Partitions that were dropped."""
    waiting: int = 0
    """Partitions that somebody reads now."""
    changes: int = 0
    """Entries of the log of changes."""


async def limits(connection: asyncpg.Connection, now: datetime) -> list[Limit]:
    """What is to be removed now. Stores that are no more follow the organization that keeps for longest."""
    rows = await connection.fetch(_ORGANIZATIONS)
    found = [
        Limit(row["id"], _months_before(now, row["months_kept"]), row["stores"])
        for row in rows
        if row["months_kept"] is not None
    ]
    if found and len(found) == len(rows):
        nobodys = [store for (store,) in await connection.fetch(_NOBODYS)]
        found.append(Limit(None, min(limit.before for limit in found), nobodys))
    return [limit for limit in found if limit.stores]


async def survey(connection: asyncpg.Connection, limit: Limit) -> tuple[int, datetime | None]:
    """How many crossings a limit removes, and when the oldest was."""
    row = await connection.fetchrow(_OLD, limit.stores, limit.before, timeout=LONG)
    return row["crossings"], row["oldest"]


async def purge(pool: asyncpg.Pool, now: datetime, log_months_kept: int = LOG_MONTHS_KEPT) -> Purged:
    """Remove what is too old. Whatever stops it half way, the next call goes on.

    Args:
        pool: of persistence.
        now: the present.
        log_months_kept: whole months before the present one of which the log of changes is kept, for everybody:
            were it an organization's to say, whom the log tells of could shorten it.

    Raises:
        asyncpg.PostgresError, OSError: the database cannot now.
    """
    purged = Purged()
    async with pool.acquire() as connection:
        gone = await connection.execute(_FORGET_CHANGES, _months_before(now, log_months_kept), timeout=LONG)
        purged.changes = _count(gone)
        found = await limits(connection, now)
        if not found:
            return purged
        before = {store: limit.before for limit in found for store in limit.stores}
        months = [month for month in await existing(connection) if month.begin < max(before.values())]
        whole = [month for month in months if not await _anybody_keeps(connection, month, before)]
        for store, moment in before.items():
            parts = [month for month in months if month not in whole and month.begin < moment]
            purged.crossings += await _purge_store(connection, store, moment, parts)
            await connection.execute(_FORGET_HEALTH, store, moment, timeout=LONG)  # no writer of counts waits for it
        for month in whole:
            await _drop(connection, month, purged)
    return purged


async def _anybody_keeps(connection: asyncpg.Connection, month: Month, before: Mapping[str, datetime]) -> bool:
    done = [store for store, moment in before.items() if moment >= month.next.begin]
    query = f"SELECT EXISTS (SELECT FROM {month.table} WHERE store <> ALL($1::text[]))"  # noqa: S608  # of a number
    return bool(await connection.fetchval(query, done, timeout=LONG))


async def _purge_store(connection: asyncpg.Connection, store: str, before: datetime, parts: Sequence[Month]) -> int:
    """Remove a store's rows, of every run; returns how many crossings were among them."""
    crossings = 0
    async with connection.transaction():
        runs = await connection.fetch(_LOCK, store)  # as every writer does first
        for run, time_zone in runs:
            for month in parts:
                crossings += await _delete(connection, month, run, store, before)
            if await connection.fetchval(_ANY_COUNT, run, store, before):
                await cut(connection, run, store, time_zone, before)
        for statement in _FORGET:
            await connection.execute(statement, store, before)
    return crossings


async def _delete(connection: asyncpg.Connection, month: Month, run: str, store: str, before: datetime) -> int:
    query = f"DELETE FROM {month.table} WHERE run = $1 AND store = $2 AND at < $3"  # noqa: S608  # of a number
    return _count(await connection.execute(query, run, store, before, timeout=LONG))


async def _drop(connection: asyncpg.Connection, month: Month, purged: Purged) -> None:
    rows = await connection.fetchval(f"SELECT count(*) FROM {month.table}", timeout=LONG)  # noqa: S608  # of a number
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(f"DROP TABLE IF EXISTS {month.table}")
    except asyncpg.LockNotAvailableError:
        purged.waiting += 1
    else:
        purged.months += 1
        purged.crossings += rows


def _months_before(now: datetime, months: int) -> datetime:
    month = Month.of(now)
    year, number = divmod(month.year * 12 + month.month - 1 - months, 12)
    return Month(year, number + 1).begin


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
