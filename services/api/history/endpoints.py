"""`/v1/stores/{store}/footfall`, `/v1/organizations/{organization}/footfall`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Query

from services.api.access.repository import readable_store, readable_stores_of
from services.api.auth.dependencies import PrincipalDep
from services.api.database import driver
from services.api.dependencies import ClockDep, OrganizationID, SessionDep, StoreID
from services.api.history.crossings import list_crossings
from services.api.history.footfall import read_footfall, read_peak_hour
from services.api.history.period import Against, DateRange, bucket_count
from services.api.history.profile import read_profile
from services.api.history.repository import By, CountSelection, CrossingFilter
from services.api.history.schemas import (
    CrossingOut,
    CrossingsQuery,
    DatesQuery,
    FootfallOut,
    FootfallQuery,
    OrganizationFootfallQuery,
    ProfileOut,
    ProfileQuery,
    StoreFootfallQuery,
)
from services.api.http.pagination import Page
from services.api.http.problems import READING, Invalid
from services.kit.database.tables import Store
from services.kit.local_time import local_day, time_zone_named

router = APIRouter(tags=["history"])

MOST_BUCKETS = 2000
MOST_DAYS = 10 * 366
MOST_PROFILE_DAYS = 2 * 366


@router.get("/stores/{store}/footfall", summary="Footfall of a store", responses=READING)
async def store_footfall(
    store: StoreID,
    query: Annotated[StoreFootfallQuery, Query()],
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
) -> FootfallOut:
    """INs and OUTs by quarter hour, hour, day, week or month, in the store's time zone; compared with other periods."""
    row = await readable_store(session, principal, store)
    answer = await _answer(await driver(session), query, query.by, [row], clock())
    return answer.model_copy(update={"store": store})


@router.get("/organizations/{organization}/footfall", summary="Footfall of an organization", responses=READING)
async def organization_footfall(
    organization: OrganizationID,
    query: Annotated[OrganizationFootfallQuery, Query()],
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
) -> FootfallOut:
    """INs and OUTs of all stores together, or by store. Each store counts by its own local dates and hours."""
    stores = await readable_stores_of(session, principal, organization)
    answer = await _answer(await driver(session), query, query.by, stores, clock())
    return answer.model_copy(update={"organization": organization})


@router.get("/stores/{store}/profile", summary="Profile of a store's week", responses=READING)
async def store_profile(
    store: StoreID,
    query: Annotated[ProfileQuery, Query()],
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
) -> ProfileOut:
    """The median INs and OUTs of each weekday and hour, of the hours that were counted."""
    row = await readable_store(session, principal, store)
    now = clock().astimezone(UTC)
    period = period_of(query, [row], now)
    if period.days > MOST_PROFILE_DAYS:
        raise Invalid(
            "{days} days are too many for a profile; at most {most}.",
            code="profile-too-long",
            days=period.days,
            most=MOST_PROFILE_DAYS,
        )
    reading = CountSelection(query.run, [row], query.open_only)
    answer = await read_profile(await driver(session), reading, period, now)
    return answer.model_copy(update={"store": store})


@router.get("/stores/{store}/crossings", summary="Crossings of a store", responses=READING)
async def store_crossings(
    store: StoreID,
    query: Annotated[CrossingsQuery, Query()],
    session: SessionDep,
    principal: PrincipalDep,
    clock: ClockDep,
) -> Page[CrossingOut]:
    """Each crossing on local dates, the newest first; today's, if no date is given. All at once: `crossings.csv`."""
    row = await readable_store(session, principal, store)
    reading, period = CountSelection(query.run, [row]), period_of(query, [row], clock())
    wanted = CrossingFilter(query.camera, query.line)
    return await list_crossings(await driver(session), reading, period, wanted, query.limit, query.cursor)


def period_of(query: DatesQuery, stores: Sequence[Store], now: datetime) -> DateRange:
    """The local dates of a query; today if it has none.

    Raises:
        Invalid: `from` is after `to`, or there are more than `MOST_DAYS` days.
    """
    last = query.to or max(local_day(now, time_zone_named(store.time_zone)) for store in stores)
    first = query.from_ or last
    if first > last:
        raise Invalid("from {first} is after to {last}.", code="dates-out-of-order", first=first, last=last)
    period = DateRange(first, last)
    if period.days > MOST_DAYS:
        raise Invalid(
            "{first} to {last} are {days} days; at most {most} are told at once.",
            code="too-many-days",
            first=first,
            last=last,
            days=period.days,
            most=MOST_DAYS,
        )
    return period


def _check_comparisons(query: FootfallQuery, period: DateRange) -> None:
    for choice in query.compare:
        try:
            _ = choice == Against.TYPICAL or period.before(choice)
        except ValueError as error:
            raise Invalid(str(error), "compare", code="comparison-invalid") from error


async def _answer(
    connection: asyncpg.Connection, query: FootfallQuery, by: By, stores: Sequence[Store], now: datetime
) -> FootfallOut:
    now = now.astimezone(UTC)
    reading, period = CountSelection(query.run, stores, query.open_only), _period(query, stores, now)
    answer = await read_footfall(connection, reading, period, query.bucket, by, query.compare, now)
    peak = await read_peak_hour(connection, reading, period) if query.peak else None
    return answer.model_copy(update={"peak": peak})


def _period(query: FootfallQuery, stores: Sequence[Store], now: datetime) -> DateRange:
    period = period_of(query, stores, now)
    _check_comparisons(query, period)
    if (count := bucket_count(period, query.bucket)) > MOST_BUCKETS:
        raise Invalid(
            "{first} to {last} are {count} buckets of {bucket}; at most {most} are told "
            "at once: ask for longer buckets or fewer days, or take footfall.csv.",
            code="too-many-buckets",
            first=period.first,
            last=period.last,
            count=count,
            bucket=query.bucket,
            most=MOST_BUCKETS,
        )
    return period
