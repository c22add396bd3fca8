"""`/v1/stores/{store}/crossings.csv` and `footfall.csv`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from services.api.access import Principal, readable_store
from services.api.auth.dependencies import HoldDep, PrincipalDep
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.dependencies import ClockDep, SessionsDep, SettingsDep, StoreID
from services.api.history.endpoints import period_of
from services.api.history.export import crossings_csv, exporting, footfall_csv
from services.api.history.period import DateRange
from services.api.history.repository import CountSelection
from services.api.history.schemas import DatesQuery, FootfallExportQuery
from services.api.http.problems import READING, describe
from services.api.quotas import QuotaKind
from services.kit.database.tables import Store
from services.kit.logs import logger

router = APIRouter(tags=["history"])

CSV = "text/csv"
SEND_TIMEOUT = 30.0
"""Seconds within which the client has to take a chunk of at most some 100 KB: an export holds a database connection."""
LONGEST = 3600.0
"""Seconds that an export may last: its transaction keeps Postgres from vacuuming rows that changed since its start."""

log = logger()
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "CSV: a header line, then one line for each row.",
        "content": {CSV: {"schema": {"type": "string"}}},
    },
    **describe(*READING, HTTPStatus.TOO_MANY_REQUESTS),
}


class ClientStalled(Exception):
    """The client did not take a chunk within `SEND_TIMEOUT`."""


class CsvStream(StreamingResponse):
    """Sends CSV as it is produced. Releases its database connection and quota at the end, however the request ends."""

    # FastAPI takes the status of its description from this signature.
    def __init__(
        self, pieces: AsyncIterator[bytes], holds: AsyncExitStack, name: str, status_code: int = HTTPStatus.OK
    ) -> None:
        # The name consists of an id and dates, so that it needs no quoting.
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(pieces, status_code, media_type=CSV, headers=headers)
        self._holds, self._name = holds, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream. An export that is cut off lacks the final chunk, so that clients see that it is incomplete."""

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await send(message)
            except TimeoutError:
                raise ClientStalled from None

        async with self._holds:
            try:
                async with asyncio.timeout(LONGEST) as limit:
                    await super().__call__(scope, receive, send_in_time)
            except ClientStalled:
                log.info("an export that nobody took was cut off", name=self._name)
            except TimeoutError:
                if not limit.expired():
                    raise
                log.info("an export lasted too long and was cut off", name=self._name)


@router.get("/stores/{store}/crossings.csv", summary="Export crossings", response_class=CsvStream, responses=_RESPONSES)
async def export_crossings(
    store: StoreID,
    query: Annotated[DatesQuery, Query()],
    principal: PrincipalDep,
    sessions: SessionsDep,
    settings: SettingsDep,
    clock: ClockDep,
    hold: HoldDep,
) -> CsvStream:
    """All crossings of a store on local dates, ordered by time, with local times. Streamed: of any size."""
    row, period = await _store_and_period(store, query, principal, sessions, clock)
    async with AsyncExitStack() as holds:
        holds.enter_context(hold(QuotaKind.EXPORT, row.organization))
        connection = await holds.enter_async_context(exporting(settings.database_url.get_secret_value()))
        pieces = crossings_csv(connection, query.run, row, period)
        return CsvStream(pieces, holds.pop_all(), _name(row, "crossings", period))


@router.get("/stores/{store}/footfall.csv", summary="Export footfall", response_class=CsvStream, responses=_RESPONSES)
async def export_footfall(
    store: StoreID,
    query: Annotated[FootfallExportQuery, Query()],
    principal: PrincipalDep,
    sessions: SessionsDep,
    settings: SettingsDep,
    clock: ClockDep,
    hold: HoldDep,
) -> CsvStream:
    """Footfall of a store on local dates: one line for each bucket of each series, empty ones too."""
    row, period = await _store_and_period(store, query, principal, sessions, clock)
    async with AsyncExitStack() as holds:
        holds.enter_context(hold(QuotaKind.EXPORT, row.organization))
        connection = await holds.enter_async_context(exporting(settings.database_url.get_secret_value()))
        reading = CountSelection(query.run, [row], query.open_only)
        pieces = footfall_csv(connection, reading, period, query.bucket, query.by, clock())
        return CsvStream(pieces, holds.pop_all(), _name(row, "footfall", period))


async def _store_and_period(
    store: str, query: DatesQuery, principal: Principal, sessions: Sessions, clock: Clock
) -> tuple[Store, DateRange]:
    async with sessions() as session:
        row = await readable_store(session, principal, store)
    return row, period_of(query, [row], clock())


def _name(store: Store, kind: str, period: DateRange) -> str:
    return f"{store.id}-{kind}-{period.first}-{period.last}.csv"
