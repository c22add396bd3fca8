"""`/v1/stores/{store}/counts`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query

from contracts.events import Counts, LineCount
from contracts.identity import LIVE, TOKEN_PATTERN, to_datetime
from services.api.access import readable_store
from services.api.auth.dependencies import PrincipalDep
from services.api.counts.buckets import FIRST_DAY, LAST_DAY, DayBucket, by_hour, by_quarter, day_bounds
from services.api.counts.repository import QuarterRow, by_bucket, by_line, read_quarters
from services.api.counts.schemas import BucketOut, DayCounts, DayTotals, Now, Period
from services.api.database import driver
from services.api.dependencies import ClockDep, SessionDep, StoreID
from services.api.http.problems import READING, describe
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
By = Annotated[list[Period] | None, Query(description="DayBucket lengths; both if omitted.")]


@router.get(
    "/stores/{store}/counts",
    summary="Count a day",
    responses=describe(*READING),
)
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
    quarters = await read_quarters(session, run, store, *day_bounds(chosen, where))
    return DayCounts(
        store=store,
        run=run,
        time_zone=row.time_zone,
        day=chosen,
        today=chosen == today,
        now=_now(await totals(await driver(session), run, store, now)),
        totals=_totals(quarters),
        buckets=_buckets(chosen, where, quarters, by or list(Period)),
    )


def _now(counts: Counts) -> Now:
    last_at: datetime | None = None if counts.last_at is None else to_datetime(counts.last_at)
    return Now(inside=counts.inside, revision=counts.revision, last_at=last_at)


def _totals(rows: list[QuarterRow]) -> DayTotals:
    lines = by_line(rows)
    return DayTotals(
        in_=sum(ins for ins, _ in lines.values()),
        out=sum(outs for _, outs in lines.values()),
        lines=[
            LineCount.model_validate({"camera": camera, "line": line, "in": ins, "out": outs})
            for (camera, line), (ins, outs) in lines.items()
        ],
    )


def _buckets(day: date, where: ZoneInfo, rows: list[QuarterRow], by: list[Period]) -> dict[Period, list[BucketOut]]:
    quarters = by_quarter(day, where, by_bucket(rows))
    by_period = {Period.QUARTER: lambda: quarters, Period.HOUR: lambda: by_hour(quarters)}
    return {period: [_bucket_out(bucket) for bucket in by_period[period]()] for period in Period if period in by}


def _bucket_out(bucket: DayBucket) -> BucketOut:
    return BucketOut(start=bucket.start, end=bucket.end, in_=bucket.ins, out=bucket.outs)
