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
from services.api.history.period import Period
from services.api.history.repository import Reading
from services.api.history.schemas import DatesQuery, FootfallExportQuery
from services.api.http.problems import READING, describe
from services.api.quotas import Kind
from services.kit.database.tables import Store
from services.kit.logs import logger

router = APIRouter(tags=["history"])

CSV = "text/csv"
SEND_TIMEOUT = 30.0
"""Seconds in which a piece, some 100 KB at most, is taken: an export holds a connection of the database."""
LONGEST = 3600.0
"""Seconds that an export may take: for as long as it lasts, Postgres cleans up nothing that was changed since."""

log = logger()
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "A header, and a line each.", "content": {CSV: {"schema": {"type": "string"}}}},
    **describe(*READING, HTTPStatus.TOO_MANY_REQUESTS),
}


class NotTaken(Exception):
    """Nobody took what was sent."""


class CsvStream(StreamingResponse):
    """Sends CSV as it is made. Whatever becomes of the one who asked, what it holds is given back at the end."""

    # FastAPI takes the status of its description from this signature.
    def __init__(
        self, pieces: AsyncIterator[bytes], holds: AsyncExitStack, name: str, status_code: int = HTTPStatus.OK
    ) -> None:
        # The name is made of an id and of dates: nothing in it needs quoting.
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(pieces, status_code, media_type=CSV, headers=headers)
        self._holds, self._name = holds, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream. What is cut off lacks its end, so that nobody takes it for the whole."""

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await send(message)
            except TimeoutError:
                raise NotTaken from None

        async with self._holds:
            try:
                async with asyncio.timeout(LONGEST) as limit:
                    await super().__call__(scope, receive, send_in_time)
            except NotTaken:
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
    """Every crossing of a store on local dates, in the order of time, with its local time. Streamed, however many."""
    found, period = await _asked(store, query, principal, sessions, clock)
    async with AsyncExitStack() as holds:
        holds.enter_context(hold(Kind.EXPORT, found.organization))
        connection = await holds.enter_async_context(exporting(settings.database_url.get_secret_value()))
        pieces = crossings_csv(connection, query.run, found, period)
        return CsvStream(pieces, holds.pop_all(), _name(found, "crossings", period))


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
    """A store's footfall on local dates, a line for each bucket of each series, those without a count too."""
    found, period = await _asked(store, query, principal, sessions, clock)
    async with AsyncExitStack() as holds:
        holds.enter_context(hold(Kind.EXPORT, found.organization))
        connection = await holds.enter_async_context(exporting(settings.database_url.get_secret_value()))
        reading = Reading(query.run, [found], query.open_only)
        pieces = footfall_csv(connection, reading, period, query.bucket, query.by)
        return CsvStream(pieces, holds.pop_all(), _name(found, "footfall", period))


async def _asked(
    store: str, query: DatesQuery, principal: Principal, sessions: Sessions, clock: Clock
) -> tuple[Store, Period]:
    async with sessions() as session:
        found = await readable_store(session, principal, store)
    return found, period_of(query, [found], clock())


def _name(store: Store, what: str, period: Period) -> str:
    return f"{store.id}-{what}-{period.first}-{period.last}.csv"
