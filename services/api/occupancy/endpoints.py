"""`/v1/stores/{store}/occupancy`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Literal

import asyncpg
from fastapi import APIRouter, Query

from contracts.identity import LIVE
from services.api.access.principal import Role
from services.api.access.repository import readable_store
from services.api.auth.dependencies import ChangeCounted, PrincipalDep
from services.api.counts.endpoints import Day
from services.api.database import driver
from services.api.dependencies import ClockDep, SessionDep, SessionsDep, StoreID
from services.api.history.period import DateRange, Size, TimeSlot, slots
from services.api.http.problems import READING, describe
from services.api.occupancy.repository import DayInside, correct, last_correction, read_day
from services.api.occupancy.schemas import CorrectionIn, CorrectionOut, InsideNow, InsideThen, OccupancyOut
from services.api.transaction import committing
from services.kit.database.occupancy import resets_around
from services.kit.database.tables import Store
from services.kit.database.totals import totals
from services.kit.local_time import QUARTER, local_day, time_zone_named

router = APIRouter(tags=["history"])

Bucket = Annotated[Literal[Size.QUARTER, Size.HOUR], Query(description="Length of a bucket.", examples=["15m"])]


@router.get("/stores/{store}/occupancy", summary="Occupancy of a store", responses=READING)
async def occupancy(
    store: StoreID,
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
    day: Day = None,
    bucket: Bucket = Size.QUARTER,
) -> OccupancyOut:
    """People inside now and over a local day: INs minus OUTs since the last reset or correction."""
    row = await readable_store(session, principal, store)
    connection, now = await driver(session), clock().astimezone(UTC)
    chosen = day or local_day(now, time_zone_named(row.time_zone))
    inside = await read_day(connection, row, chosen, now)
    buckets = _buckets(row, chosen, bucket, inside)
    return OccupancyOut(
        store=store,
        time_zone=row.time_zone,
        capacity=row.capacity,
        reset=row.occupancy_reset,
        now=await _now(connection, row, now),
        day=chosen,
        peak=max(buckets, key=lambda bucket: bucket.inside, default=None),
        buckets=buckets,
        corrections=[
            CorrectionOut.model_validate(
                correction._asdict() | {"at": correction.at.astimezone(time_zone_named(row.time_zone))}
            )
            for correction in inside.corrections
        ],
    )


@router.post(
    "/stores/{store}/occupancy/corrections",
    summary="Say how many are inside",
    status_code=HTTPStatus.CREATED,
    responses=READING | describe(HTTPStatus.TOO_MANY_REQUESTS),
    dependencies=[ChangeCounted],
)
async def correct_occupancy(
    store: StoreID, body: CorrectionIn, sessions: SessionsDep, principal: PrincipalDep, clock: ClockDep
) -> InsideNow:
    """Sets the number of people inside: counting goes on from it until the next reset. Requires the manager role.

    The correction is kept with its author and time.
    """
    async with committing(sessions) as session:
        row = await readable_store(session, principal, store, Role.MANAGER)
        connection, now = await driver(session), clock().astimezone(UTC)
        await correct(connection, row, body.inside, principal.name, now)
        return await _now(connection, row, now)


async def _now(connection: asyncpg.Connection, store: Store, now: datetime) -> InsideNow:
    where = time_zone_named(store.time_zone)
    since, until = resets_around(now, store.occupancy_reset, where)
    correction = await last_correction(connection, store, since, until)
    counts = await totals(connection, LIVE, store.id, now)
    return InsideNow(
        inside=counts.inside,
        at=now.astimezone(where),
        since=(correction.at if correction else since).astimezone(where),
        corrected=correction is not None,
    )


def _buckets(store: Store, day: date, size: Size, inside: DayInside) -> list[InsideThen]:
    return [
        bucket
        for slot in slots(DateRange(day, day), size, time_zone_named(store.time_zone))
        if (bucket := _bucket(slot, inside)) is not None
    ]


def _bucket(slot: TimeSlot, inside: DayInside) -> InsideThen | None:
    at, end = slot.start.astimezone(UTC), slot.end.astimezone(UTC)
    quarters = []
    while at < end and at in inside.quarters:
        quarters.append(inside.quarters[at])
        at += QUARTER
    if not quarters:
        return None
    return InsideThen(
        start=slot.start,
        end=slot.end,
        label=slot.label,
        in_=sum(quarter.ins for quarter in quarters),
        out=sum(quarter.outs for quarter in quarters),
        inside=quarters[-1].inside,
    )
