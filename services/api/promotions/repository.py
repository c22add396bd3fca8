"""Promotions: rows by which a run's counts replace the live ones, each with its author, time and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from contracts.identity import to_datetime
from contracts.runs import Run, RunPhase, RunState
from services.api.promotions.refusal import PromotionRefused
from services.api.transaction import CHANNEL
from services.kit.database.tables import Promotion
from services.kit.local_time import moment

QUARTER = 900_000_000_000
"""Nanoseconds of a quarter of an hour: counts are stored by quarters, and promoted by whole ones."""

_INSERT = """
INSERT INTO promotion (store, camera, line, since, until, run, at, who, note)
VALUES ($1, $2, $3, $4, $5, $6, now(), $7, $8) RETURNING id
"""
_REVOKE = """
UPDATE promotion SET revoked_at = now(), revoked_by = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING store
"""
# In the same transaction, so that each version stands for one state of the counts.
_RAISE_VERSION = """
INSERT INTO store_version AS v (run, store, version, time_zone)
VALUES ('live', $1::text, 1, coalesce((SELECT time_zone FROM store WHERE id = $1::text), 'UTC'))
ON CONFLICT (run, store) DO UPDATE SET version = v.version + 1
"""
_IN_FORCE = "SELECT id FROM promotion WHERE run = $1 AND revoked_at IS NULL ORDER BY id"
_LIST = """
SELECT id, store, camera, line, since, until, run, at, who, note, revoked_at, revoked_by
FROM promotion WHERE ($1::text IS NULL OR camera = $1) AND ($2::text IS NULL OR run = $2) ORDER BY id
"""
_ONE = """
SELECT id, store, camera, line, since, until, run, at, who, note, revoked_at, revoked_by FROM promotion WHERE id = $1
"""
_COUNTED = """
SELECT coalesce(sum(ins), 0) AS ins, coalesce(sum(outs), 0) AS outs FROM count_quarter
WHERE run = $1 AND store = $2 AND camera = $3 AND line = $4 AND bucket >= $5 AND bucket < $6
"""
_KNOWS_LINE = """
SELECT EXISTS (SELECT 1 FROM line WHERE camera = $1 AND id = $2)
    OR EXISTS (SELECT 1 FROM count_quarter WHERE run IN ('live', $3) AND camera = $1 AND line = $2)
"""


@dataclass(frozen=True, slots=True)
class PromotedPeriod:
    """A line and a period to promote: `since` to `until` (exclusive), ns UTC, both at a full quarter of an hour."""

    store: str
    camera: str
    line: str
    since: int
    until: int

    @property
    def columns(self) -> tuple[str, str, str, datetime, datetime]:
        """Values of the database's columns."""
        return self.store, self.camera, self.line, to_datetime(self.since), to_datetime(self.until)


async def period_of(
    connection: asyncpg.Connection, run: Run, camera: str, line: str, since: int | None, until: int | None
) -> PromotedPeriod:
    """Check and return the period to promote: all whole quarters of the run if `since` and `until` (ns UTC) are None.

    Raises:
        PromotionRefused: the run has not counted that, or is not finished, or the limits are no full quarters of an
            hour.
    """
    if run.state is not RunState.FINISHED or run.stands is RunPhase.DROPPING:
        raise PromotionRefused(
            f"run {run.name!r} is {run.stands}, not finished: it may lack crossings that the live run has"
        )
    stores = {covered.camera: covered.store for covered in run.cameras}
    if camera not in stores:
        raise PromotionRefused(f"run {run.name!r} has not counted camera {camera!r}, but: {', '.join(stores)}")
    if run.lines is not None and line not in (lines := [counted.id for counted in run.lines]):
        raise PromotionRefused(f"run {run.name!r} has not counted over line {line!r}, but: {', '.join(lines)}")
    if not await connection.fetchval(_KNOWS_LINE, camera, line, run.name):
        raise PromotionRefused(f"camera {camera!r} has no line {line!r}")
    first, last = -(-run.since // QUARTER) * QUARTER, run.until // QUARTER * QUARTER
    begin = _quarter("--from", first if since is None else since)
    end = _quarter("--to", last if until is None else until)
    if begin < first or end > last or end <= begin:
        extent = f"from {moment(first)} to {moment(last)}" if first < last else "none"
        raise PromotionRefused(
            f"from {moment(begin)} to {moment(end)} cannot be promoted: the whole quarters of an hour that run "
            f"{run.name!r} has counted are {extent}"
        )
    return PromotedPeriod(stores[camera], camera, line, begin, end)


def _quarter(option: str, ns: int) -> int:
    if ns % QUARTER:
        before = ns // QUARTER * QUARTER
        raise PromotionRefused(
            f"{option} {moment(ns)}: counts are stored by quarters of an hour, so give a full hour or quarter, "
            f"as in {moment(before)} or {moment(before + QUARTER)}"
        )
    return ns


async def counts(connection: asyncpg.Connection, run: str, period: PromotedPeriod) -> tuple[int, int]:
    """Return a run's (INs, OUTs) in a period."""
    row = await connection.fetchrow(_COUNTED, run, *period.columns)
    return row["ins"], row["outs"]


async def promote(connection: asyncpg.Connection, run: str, period: PromotedPeriod, author: str, note: str) -> int:
    """Show a run's counts in place of the live ones, on dashboards at once. Returns the row's number."""
    async with connection.transaction():
        number: int = await connection.fetchval(_INSERT, *period.columns, run, author, note)
        await _announce(connection, period.store)
    return number


async def revoke(connection: asyncpg.Connection, number: int, author: str) -> None:
    """Revoke a promotion: the counts from before are shown again.

    Raises:
        PromotionRefused: there is no such promotion, or it was revoked before.
    """
    async with connection.transaction():
        store = await connection.fetchval(_REVOKE, number, author)
        if store is None:
            raise PromotionRefused(f"there is no promotion {number} in force: `metrica promote --list` shows all")
        await _announce(connection, store)


async def promotions(
    connection: asyncpg.Connection, camera: str | None = None, run: str | None = None
) -> list[Promotion]:
    """List all promotions, or those of a camera or a run, revoked ones too, the oldest first."""
    return [Promotion(**row) for row in await connection.fetch(_LIST, camera, run)]


async def promotion(connection: asyncpg.Connection, number: int) -> Promotion | None:
    """Return a promotion by its number; None if there is none."""
    row = await connection.fetchrow(_ONE, number)
    return None if row is None else Promotion(**row)


async def check_not_promoted(connection: asyncpg.Connection, run: str) -> None:
    """Check that no promotion shows a run's counts.

    Raises:
        PromotionRefused: one does.
    """
    numbers = [str(row["id"]) for row in await connection.fetch(_IN_FORCE, run)]
    if numbers:
        raise PromotionRefused(
            f"the counts of run {run!r} are shown in place of the live ones: "
            f"`metrica promote --revoke {numbers[0]}` revokes that (promotions {', '.join(numbers)})"
        )


async def _announce(connection: asyncpg.Connection, store: str) -> None:
    await connection.execute(_RAISE_VERSION, store)
    await connection.execute(f"NOTIFY {CHANNEL}")  # the API then reads the stores' versions again
