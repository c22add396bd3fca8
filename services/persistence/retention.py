"""Retention: removes crossings that are older than their organization keeps, with their counts and camera statuses.

An organization keeps the present month and the number of whole months before it that it has set, by UTC. A month's
partition without rows to keep is dropped, in others rows are deleted. The local day at the boundary is counted again
from the rest of it, so that the rollups equal the record at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.persistence.partitions import Month, existing
from services.persistence.rollups import cut

LOCK_TIMEOUT = "2s"
"""Longest wait for a partition's lock, which needs a moment without readers. Longer queries are not disturbed: the next
purge tries again."""
LOG_MONTHS_KEPT = 24
LONG = 600.0
"""Timeout in seconds for a statement on a month of rows."""

_ORGANIZATIONS = """
SELECT o.id, o.months_kept, array_remove(array_agg(s.id ORDER BY s.id), NULL) AS stores
FROM organization o LEFT JOIN store s ON s.organization = o.id GROUP BY o.id ORDER BY o.id
"""
_ORPHANS = (
    "SELECT DISTINCT v.store FROM store_version v LEFT JOIN store s ON s.id = v.store WHERE s.id IS NULL ORDER BY 1"
)
_OLD = "SELECT count(*) AS crossings, min(at) AS oldest FROM crossing WHERE store = ANY($1::text[]) AND at < $2"
_DELETE_LOG = "DELETE FROM audit_entry WHERE at < $1"
_LOCK = "SELECT run, time_zone FROM store_version WHERE store = $1 ORDER BY run FOR UPDATE"
_ANY_COUNT = "SELECT EXISTS (SELECT FROM count_quarter WHERE run = $1 AND store = $2 AND bucket < $3)"
_CUT_COVERAGE = """
WITH old AS (DELETE FROM coverage WHERE store = $1 AND start < $2 RETURNING *)
INSERT INTO coverage AS c (run, store, camera, line, start, until)
SELECT run, store, camera, line, $2, max(until) FROM old WHERE until > $2 GROUP BY run, store, camera, line
ON CONFLICT (run, store, camera, line, start) DO UPDATE SET until = GREATEST(c.until, excluded.until)
"""
_DELETE = (
    "DELETE FROM session_count WHERE store = $1 AND last_at < $2",
    "DELETE FROM run_session WHERE store = $1 AND at < $2",
    _CUT_COVERAGE,
    "DELETE FROM occupancy_correction WHERE store = $1 AND at < $2",
    "UPDATE store_version SET last_at = NULL WHERE store = $1 AND last_at < $2",
)
# A service's last status before the boundary is kept, as it was in force at the boundary.
_DELETE_HEALTH = """
DELETE FROM camera_health h USING camera c
WHERE c.id = h.camera AND c.store = $1 AND h.at < $2 AND EXISTS (
    SELECT FROM camera_health later
    WHERE later.camera = h.camera AND later.service = h.service AND later.at > h.at AND later.at <= $2
)
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """The stores whose history before a moment is removed. `organization` is None for deleted stores."""

    organization: str | None
    before: datetime
    stores: Sequence[str]


@dataclass(slots=True)
class Purged:
    """Numbers of removed crossings, partitions and log entries."""

    crossings: int = 0
    months: int = 0
    """Partitions that were dropped."""
    waiting: int = 0
    """Partitions that are still to be dropped, as they were being read."""
    changes: int = 0
    """Entries of the audit log."""


async def limits(connection: asyncpg.Connection, now: datetime) -> list[Limit]:
    """The limits to apply now. Deleted stores follow the organization that keeps its history longest."""
    rows = await connection.fetch(_ORGANIZATIONS)
    applying = [
        Limit(row["id"], _months_before(now, row["months_kept"]), row["stores"])
        for row in rows
        if row["months_kept"] is not None
    ]
    if applying and len(applying) == len(rows):
        orphans = [store for (store,) in await connection.fetch(_ORPHANS)]
        applying.append(Limit(None, min(limit.before for limit in applying), orphans))
    return [limit for limit in applying if limit.stores]


async def survey(connection: asyncpg.Connection, limit: Limit) -> tuple[int, datetime | None]:
    """The number of crossings that a limit removes, and the time of the oldest; for a preview."""
    row = await connection.fetchrow(_OLD, limit.stores, limit.before, timeout=LONG)
    return row["crossings"], row["oldest"]


async def purge(pool: asyncpg.Pool, now: datetime, log_months_kept: int = LOG_MONTHS_KEPT) -> Purged:
    """Remove old data. If it is interrupted, the next call goes on.

    Args:
        pool: of persistence.
        now: the present moment, with a time zone.
        log_months_kept: whole months before the present one for which the audit log is kept, for all organizations
            alike: were it a setting of an organization, the people in the log could shorten it.

    Raises:
        asyncpg.PostgresError, OSError: the database fails for now.
    """
    purged = Purged()
    async with pool.acquire() as connection:
        status = await connection.execute(_DELETE_LOG, _months_before(now, log_months_kept), timeout=LONG)
        purged.changes = _count(status)
        applying = await limits(connection, now)
        if not applying:
            return purged
        before = {store: limit.before for limit in applying for store in limit.stores}
        months = [month for month in await existing(connection) if month.begin < max(before.values())]
        unneeded = [month for month in months if not await _is_needed(connection, month, before)]
        for store, moment in before.items():
            parts = [month for month in months if month not in unneeded and month.begin < moment]
            purged.crossings += await _purge_store(connection, store, moment, parts)
            # Outside of the store's transaction, so that no writer of counts waits for it.
            await connection.execute(_DELETE_HEALTH, store, moment, timeout=LONG)
        for month in unneeded:
            await _drop(connection, month, purged)
    return purged


async def _is_needed(connection: asyncpg.Connection, month: Month, before: Mapping[str, datetime]) -> bool:
    """Tell whether a month's partition has rows to keep."""
    removed = [store for store, moment in before.items() if moment >= month.next.begin]
    query = f"SELECT EXISTS (SELECT FROM {month.table} WHERE store <> ALL($1::text[]))"  # noqa: S608  # of a number
    return bool(await connection.fetchval(query, removed, timeout=LONG))


async def _purge_store(connection: asyncpg.Connection, store: str, before: datetime, parts: Sequence[Month]) -> int:
    """Remove a store's rows of every run; returns the number of crossings among them."""
    crossings = 0
    async with connection.transaction():
        runs = await connection.fetch(_LOCK, store)  # as every writer does first
        for run, time_zone in runs:
            for month in parts:
                crossings += await _delete(connection, month, run, store, before)
            if await connection.fetchval(_ANY_COUNT, run, store, before):
                await cut(connection, run, store, time_zone, before)
        for statement in _DELETE:
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
