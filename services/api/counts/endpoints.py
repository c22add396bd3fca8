"""`/v1/stores/{store}/counts`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from contracts.events import Counts, LineCount
from contracts.identity import LIVE, TOKEN_PATTERN, to_datetime
from services.api.access.repository import readable_store
from services.api.auth.dependencies import PrincipalDep
from services.api.counts.buckets import day_buckets
from services.api.counts.schemas import DayCounts, DayTotals, Now, Period
from services.api.database import driver
from services.api.dependencies import ClockDep, SessionDep, StoreID
from services.api.history.footfall import sums
from services.api.history.period import FIRST_DAY, LAST_DAY, DateRange, Size
from services.api.history.repository import By as HistoryBy
from services.api.history.repository import CountSelection, Row, Span, read_buckets
from services.api.http.problems import READING
from services.kit.database.totals import totals
from services.kit.local_time import local_day, time_zone_named

router = APIRouter(tags=["counts"])

Day = Annotated[
    date | None,
    Query(
        ge=FIRST_DAY,
        le=LAST_DAY,
        description="A local date of the store, YYYY-MM-DD; today if omitted.",
        examples=["2026-11-23"],
    ),
]
Run = Annotated[str, Query(pattern=TOKEN_PATTERN, description="`live`, or the name of a replay.")]
By = Annotated[list[Period] | None, Query(description="Lengths of buckets; both if omitted.")]


@router.get("/stores/{store}/counts", summary="Count a day", responses=READING)
async def count_day(
    store: StoreID,
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
    day: Day = None,
    run: Run = LIVE,
    by: By = None,
) -> DayCounts:
    """INs and OUTs of a store's local day: in total, by line, by quarter and full hour; and people inside now."""
    row = await readable_store(session, principal, store)
    where, now = time_zone_named(row.time_zone), clock()
    today = local_day(now, where)
    chosen = day or today
    connection = await driver(session)
    selection, span = CountSelection(run, [row]), Span(DateRange(chosen, chosen))
    (quarters,) = await read_buckets(connection, selection, [span], Size.QUARTER, HistoryBy.LINE)
    return DayCounts(
        store=store,
        run=run,
        time_zone=row.time_zone,
        day=chosen,
        today=chosen == today,
        now=_now(await totals(connection, run, store, now)),
        totals=_totals(quarters),
        buckets={period: day_buckets(chosen, where, quarters, period) for period in Period if period in (by or Period)},
    )


def _now(counts: Counts) -> Now:
    last_at: datetime | None = None if counts.last_at is None else to_datetime(counts.last_at)
    return Now(inside=counts.inside, revision=counts.revision, last_at=last_at)


def _totals(rows: Sequence[Row]) -> DayTotals:
    lines = sums(rows, lambda row: row.series)
    return DayTotals(
        in_=sum(ins for ins, _ in lines.values()),
        out=sum(outs for _, outs in lines.values()),
        lines=[
            LineCount.model_validate({"camera": camera, "line": line, "in": ins, "out": outs})
            for (camera, line), (ins, outs) in sorted(lines.items())
        ],
    )
