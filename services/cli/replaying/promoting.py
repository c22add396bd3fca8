"""Putting a run's counts in the place of the live ones, and taking that back: rows, each with who, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from contracts.identity import to_datetime
from contracts.runs import Run, RunState
from services.api.transaction import CHANNEL
from services.cli.console.errors import Refused
from services.cli.replaying.planning import moment

QUARTER = 900_000_000_000
"""ns. Counts are kept by quarters of an hour, and promoted by whole ones."""

_INSERT = """
INSERT INTO promotion (store, camera, line, since, until, run, at, who, note)
VALUES ($1, $2, $3, $4, $5, $6, now(), $7, $8) RETURNING id
"""
_REVOKE = """
UPDATE promotion SET revoked_at = now(), revoked_by = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING store
"""
# In the same transaction: whoever holds the version before has seen the counts before.
_RAISE_VERSION = """
INSERT INTO store_version AS v (run, store, version, time_zone)
VALUES ('live', $1::text, 1, coalesce((SELECT time_zone FROM store WHERE id = $1::text), 'UTC'))
ON CONFLICT (run, store) DO UPDATE SET version = v.version + 1
"""
_IN_FORCE = "SELECT id FROM promotion WHERE run = $1 AND revoked_at IS NULL ORDER BY id"
_LIST = """
SELECT id, store, camera, line, since, until, run, at, who, note, revoked_at, revoked_by
FROM promotion WHERE $1::text IS NULL OR camera = $1 ORDER BY id
"""
_COUNTED = """
SELECT coalesce(sum(ins), 0) AS ins, coalesce(sum(outs), 0) AS outs FROM count_quarter
WHERE run = $1 AND store = $2 AND camera = $3 AND line = $4 AND bucket >= $5 AND bucket < $6
"""
_KNOWS_LINE = """
SELECT EXISTS (SELECT 1 FROM line WHERE camera = $1 AND id = $2)
    OR EXISTS (SELECT 1 FROM count_quarter WHERE run IN ('live', $3) AND camera = $1 AND line = $2)
"""


class Promotion(NamedTuple):
    """A promotion as it stands in its table."""

    id: int
    store: str
    camera: str
    line: str
    since: datetime
    until: datetime
    run: str
    at: datetime
    who: str
    note: str
    revoked_at: datetime | None
    revoked_by: str | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is promoted: a line from `since` until before `until`, ns UTC, both on a quarter of an hour."""

    store: str
    camera: str
    line: str
    since: int
    until: int

    @property
    def columns(self) -> tuple[str, str, str, datetime, datetime]:
        """As the database has it."""
        return self.store, self.camera, self.line, to_datetime(self.since), to_datetime(self.until)


async def stretch_of(
    connection: asyncpg.Connection, run: Run, camera: str, line: str, since: int | None, until: int | None
) -> Stretch:
    """What of a run is to be promoted; all its whole quarters where `since` and `until` (ns UTC) are None.

    Raises:
        Refused: the run has not counted that, or not to its end, or it is no whole quarter of an hour.
    """
    if run.state is not RunState.FINISHED:
        raise Refused(f"run {run.name!r} is {run.state}, not finished: it may lack people whom the live run has")
    stores = {one.camera: one.store for one in run.cameras}
    if camera not in stores:
        raise Refused(f"run {run.name!r} has not counted camera {camera!r}, but: {', '.join(stores)}")
    if run.lines is not None and line not in (lines := [one.id for one in run.lines]):
        raise Refused(f"run {run.name!r} has not counted over line {line!r}, but: {', '.join(lines)}")
    if not await connection.fetchval(_KNOWS_LINE, camera, line, run.name):
        raise Refused(f"camera {camera!r} has no line {line!r}")
    first, last = -(-run.since // QUARTER) * QUARTER, run.until // QUARTER * QUARTER
    begin = _quarter("--from", first if since is None else since)
    end = _quarter("--to", last if until is None else until)
    if begin < first or end > last or end <= begin:
        held = f"from {moment(first)} to {moment(last)}" if first < last else "none"
        raise Refused(
            f"from {moment(begin)} to {moment(end)} cannot be promoted: the whole quarters of an hour that run "
            f"{run.name!r} has counted are {held}"
        )
    return Stretch(stores[camera], camera, line, begin, end)


def _quarter(option: str, ns: int) -> int:
    if ns % QUARTER:
        before = ns // QUARTER * QUARTER
        raise Refused(
            f"{option} {moment(ns)}: counts are kept by quarters of an hour, so give the full hour or a quarter, "
            f"as in {moment(before)} or {moment(before + QUARTER)}"
        )
    return ns


async def counted(connection: asyncpg.Connection, run: str, stretch: Stretch) -> tuple[int, int]:
    """(INs, OUTs) of a run in a stretch."""
    row = await connection.fetchrow(_COUNTED, run, *stretch.columns)
    return row["ins"], row["outs"]


async def promote(connection: asyncpg.Connection, run: str, stretch: Stretch, who: str, note: str) -> int:
    """Put a run's counts in the place of the live ones; dashboards show them at once. Returns the row's number."""
    async with connection.transaction():
        number: int = await connection.fetchval(_INSERT, *stretch.columns, run, who, note)
        await _announce(connection, stretch.store)
    return number


async def revoke(connection: asyncpg.Connection, number: int, who: str) -> None:
    """Take a promotion back: what it hid is shown again.

    Raises:
        Refused: there is no such promotion, or it was taken back before.
    """
    async with connection.transaction():
        store = await connection.fetchval(_REVOKE, number, who)
        if store is None:
            raise Refused(f"there is no promotion {number} in force: `metrica promote --list` shows those there are")
        await _announce(connection, store)


async def promotions(connection: asyncpg.Connection, camera: str | None = None) -> list[Promotion]:
    """All promotions that ever were, or a camera's, the oldest first."""
    return [Promotion(*row) for row in await connection.fetch(_LIST, camera)]


async def check_not_promoted(connection: asyncpg.Connection, run: str) -> None:
    """Make sure that no promotion shows a run's counts.

    Raises:
        Refused: one does.
    """
    numbers = [str(row["id"]) for row in await connection.fetch(_IN_FORCE, run)]
    if numbers:
        raise Refused(
            f"the counts of run {run!r} are shown in the place of the live ones: "
            f"`metrica promote --revoke {numbers[0]}` takes that back (promotions {', '.join(numbers)})"
        )


async def _announce(connection: asyncpg.Connection, store: str) -> None:
    await connection.execute(_RAISE_VERSION, store)
    await connection.execute(f"NOTIFY {CHANNEL}")  # the api then looks at the versions of what it shows
