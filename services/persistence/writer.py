"""Writing batches: one transaction each, retried until the database accepts it; bad rows are left out.

A batch is stored whole (rows, rollups, versions, ended sessions) or not at all, and a repeated row adds nothing
(idempotent consumer). A batch with a bad row is halved until the row is alone. During an outage nothing is given up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg

from contracts.events import Coverage, Crossing, SessionEnd
from contracts.identity import LIVE, to_datetime
from services.kit.database.totals import Key
from services.kit.logs import logger
from services.persistence.coverage import add_coverage
from services.persistence.crossings import delete_run, insert_crossings, insert_ends
from services.persistence.database_errors import in_words, write_all
from services.persistence.decoding import Record
from services.persistence.fold import fold
from services.persistence.metrics import DATABASE_UP
from services.persistence.partitions import Partitions
from services.persistence.rollups import add, moved, raise_versions

log = logger()

_PRUNE_MINUTES = """
DELETE FROM count_minute m USING store_version v
WHERE m.run = v.run AND m.store = v.store AND m.bucket < v.last_at - $1::interval
"""


@dataclass(slots=True)
class Outcome:
    """Result of writing a batch. All of it is in the database except `refused` and `incomplete`."""

    new: int = 0
    duplicates: int = 0
    changed: set[Key] = field(default_factory=set)
    """Runs and stores with changed counts."""
    refused: dict[Record, str] = field(default_factory=dict)
    """Records that the database can never store, with the reason."""
    incomplete: list[SessionEnd] = field(default_factory=list)
    """Ends of sessions with crossings still missing: to be written again later."""


class Writer:
    """Writes to the tables of the record. Replicas may write at the same time, even the same rows."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._partitions = Partitions()
        self.problem: str | None = None
        """The reason for which the database does not accept batches now; None while it does."""

    async def write(self, batch: Sequence[Record], overdue: Collection[SessionEnd] = ()) -> Outcome:
        """Write a batch. Returns once all but bad rows are committed, after any outage of the database.

        Args:
            batch: crossings and ends of sessions; a record may occur more than once.
            overdue: ends to write although crossings of their sessions are missing.
        """
        outcome = Outcome()

        async def commit(part: Sequence[Record]) -> None:
            await self._commit(part, overdue, outcome)
            self._able()

        def unable(part: Sequence[Record], error: Exception) -> None:
            self._unable(error)
            # If the part was committed in spite of the error, the next try does not report its rows as new.
            outcome.changed |= {(event.run, event.store) for event in part if isinstance(event, Crossing)}

        await write_all(batch, commit, refuse=outcome.refused.__setitem__, unable=unable)
        return outcome

    async def follow_time_zones(self) -> set[Key]:
        """Rebuild the days of stores with a changed time zone; returns the runs and stores with changed counts.

        Raises:
            asyncpg.PostgresError, OSError: the database fails for now; the next call does it.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            keys = await moved(connection)
            await raise_versions(connection, dict.fromkeys(keys))
        return set(keys)

    async def prune_minutes(self, kept: timedelta) -> None:
        """Delete counts of minutes that are further than `kept` before the newest crossing of their store.

        No clock decides: one may be wrong for a while after a start, deleted counts cannot be restored, and footage of
        last month keeps its minutes while it is counted.

        Raises:
            asyncpg.PostgresError, OSError: the database fails for now; the next call does it.
        """
        await self._pool.execute(_PRUNE_MINUTES, kept)

    async def forget_run(self, run: str) -> None:
        """Delete every row of a run beside the live one.

        Raises:
            ValueError: the run is the live one.
            asyncpg.PostgresError, OSError: the database fails for now; nothing is deleted.
        """
        if run == LIVE:
            raise ValueError("the live run is never forgotten")
        async with self._pool.acquire() as connection, connection.transaction():
            await delete_run(connection, run)

    async def _commit(self, part: Sequence[Record], overdue: Collection[SessionEnd], outcome: Outcome) -> None:
        crossings = [event for event in part if isinstance(event, Crossing)]
        ends = [event for event in part if isinstance(event, SessionEnd)]
        covered = [event for event in part if isinstance(event, Coverage)]
        async with self._pool.acquire() as connection:
            try:
                new, incomplete = await self._transact(connection, crossings, ends, covered, overdue)
            except asyncpg.CheckViolationError:
                self._partitions.forget()  # one may have been dropped since it was seen
                new, incomplete = await self._transact(connection, crossings, ends, covered, overdue)
        outcome.new += len(new)
        outcome.duplicates += len(crossings) - len(new)
        outcome.changed |= {(crossing.run, crossing.store) for crossing in new}
        outcome.incomplete += incomplete

    async def _transact(
        self,
        connection: asyncpg.Connection,
        crossings: Sequence[Crossing],
        ends: Sequence[SessionEnd],
        covered: Sequence[Coverage],
        overdue: Collection[SessionEnd],
    ) -> tuple[list[Crossing], list[SessionEnd]]:
        await self._partitions.ensure(connection, (to_datetime(crossing.at) for crossing in crossings))
        async with connection.transaction():
            new = await _add(connection, crossings) if crossings else []
            incomplete = await insert_ends(connection, ends, overdue) if ends else []
            if covered:
                await add_coverage(connection, covered)
        return new, incomplete

    def _unable(self, error: Exception) -> None:
        if self.problem is None:
            log.warning("the database takes nothing now; crossings wait in their stream", reason=in_words(error))
        self.problem = in_words(error)
        DATABASE_UP.set(0)

    def _able(self) -> None:
        if self.problem is not None:
            log.info("the database takes crossings again")
        self.problem = None
        DATABASE_UP.set(1)


async def _add(connection: asyncpg.Connection, crossings: Sequence[Crossing]) -> list[Crossing]:
    new = await insert_crossings(connection, crossings)
    last: dict[Key, datetime | None] = {}
    for crossing in sorted(new, key=lambda crossing: crossing.at):
        last[crossing.run, crossing.store] = to_datetime(crossing.at)
    if last:
        time_zones = await raise_versions(connection, last)
        await add(connection, fold(new, time_zones))
    return new
