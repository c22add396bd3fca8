"""Reading the counts of a day."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import LIVE
from services.api.database import driver
from services.kit.database.promotions import CountCorrection, corrections
from services.kit.database.tables import CountQuarter


class QuarterRow(NamedTuple):
    """INs and OUTs of a line in the quarter hour that begins at `bucket`, UTC."""

    camera: str
    line: str
    bucket: datetime
    ins: int
    outs: int


async def read_quarters(
    session: AsyncSession, run: str, store: str, start: datetime, end: datetime
) -> list[QuarterRow]:
    """The quarter hours of a store from `start` to the exclusive `end`; of the live run, with promotions applied.

    The caller has checked `access` to the store. The session's transaction makes them one snapshot.
    """
    row = CountQuarter
    query = (
        select(row)
        .where(row.run == run, row.store == store, row.bucket >= start, row.bucket < end)
        .order_by(col(row.camera), col(row.line), col(row.bucket))
    )
    rows = [
        QuarterRow(quarter.camera, quarter.line, quarter.bucket, quarter.ins, quarter.outs)
        for quarter in (await session.exec(query)).all()
    ]
    if run != LIVE:
        return rows
    return _corrected(rows, await corrections(await driver(session), store, start, end))


def _corrected(rows: list[QuarterRow], corrections: list[CountCorrection]) -> list[QuarterRow]:
    if not corrections:
        return rows
    sums = {(row.camera, row.line, row.bucket): (row.ins, row.outs) for row in rows}
    for correction in corrections:
        key = correction.camera, correction.line, correction.bucket
        ins, outs = sums.get(key, (0, 0))
        sums[key] = ins + correction.ins, outs + correction.outs
    return [QuarterRow(*key, *counts) for key, counts in sorted(sums.items())]


def by_bucket(rows: list[QuarterRow]) -> dict[datetime, tuple[int, int]]:
    """(INs, OUTs) of all lines together, by the quarter's start."""
    sums: defaultdict[datetime, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        ins, outs = sums[row.bucket]
        sums[row.bucket] = ins + row.ins, outs + row.outs
    return dict(sums)


def by_line(rows: list[QuarterRow]) -> dict[tuple[str, str], tuple[int, int]]:
    """(INs, OUTs) of all quarters together, by camera and line."""
    sums: defaultdict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        ins, outs = sums[row.camera, row.line]
        sums[row.camera, row.line] = ins + row.ins, outs + row.outs
    return dict(sums)
