"""`/v1/stores/{store}/crossings.csv` and `footfall.csv`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.api.access import Principal, readable_store
from services.api.dependencies import PartsDep, PrincipalDep, StoreID
from services.api.history.endpoints import period_of
from services.api.history.export import crossings_csv, exporting, footfall_csv
from services.api.history.period import Period
from services.api.history.repository import Reading
from services.api.history.schemas import DatesQuery, FootfallExportQuery
from services.api.parts import Parts
from services.api.problems import READING, describe
from services.kit.tables import Store

router = APIRouter(tags=["history"])

CSV = "text/csv"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "A header, and a line each.", "content": {CSV: {"schema": {"type": "string"}}}},
    **describe(*READING),
}


class CsvStream(StreamingResponse):
    """Sends CSV as it is made. Whatever becomes of the one who asked, what it holds is given back at the end."""

    # FastAPI takes the status of its description from this signature.
    def __init__(
        self, pieces: AsyncIterator[bytes], holds: AsyncExitStack, name: str, status_code: int = HTTPStatus.OK
    ) -> None:
        # The name is made of an id and of dates: nothing in it needs quoting.
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(pieces, status_code, media_type=CSV, headers=headers)
        self._holds = holds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream."""
        async with self._holds:
            await super().__call__(scope, receive, send)


@router.get("/stores/{store}/crossings.csv", summary="Export crossings", response_class=CsvStream, responses=_RESPONSES)
async def export_crossings(
    store: StoreID, query: Annotated[DatesQuery, Query()], of: PartsDep, principal: PrincipalDep
) -> CsvStream:
    """Every crossing of a store on local dates, in the order of time, with its local time. Streamed, however many."""
    found, period = await _asked(store, query, of, principal)
    async with AsyncExitStack() as holds:
        holds.enter_context(of.exports.turn())
        connection = await holds.enter_async_context(exporting(of.settings.database_url.get_secret_value()))
        pieces = crossings_csv(connection, query.run, found, period)
        return CsvStream(pieces, holds.pop_all(), _name(found, "crossings", period))


@router.get("/stores/{store}/footfall.csv", summary="Export footfall", response_class=CsvStream, responses=_RESPONSES)
async def export_footfall(
    store: StoreID, query: Annotated[FootfallExportQuery, Query()], of: PartsDep, principal: PrincipalDep
) -> CsvStream:
    """A store's footfall on local dates, a line for each bucket of each series, those without a count too."""
    found, period = await _asked(store, query, of, principal)
    async with AsyncExitStack() as holds:
        holds.enter_context(of.exports.turn())
        connection = await holds.enter_async_context(exporting(of.settings.database_url.get_secret_value()))
        reading = Reading(query.run, [found], query.open_only)
        pieces = footfall_csv(connection, reading, period, query.bucket, query.by)
        return CsvStream(pieces, holds.pop_all(), _name(found, "footfall", period))


async def _asked(store: str, query: DatesQuery, of: Parts, principal: Principal) -> tuple[Store, Period]:
    async with of.sessions() as session:
        found = await readable_store(session, principal, store)
    return found, period_of(query, [found], of.clock())


def _name(store: Store, what: str, period: Period) -> str:
    return f"{store.id}-{what}-{period.first}-{period.last}.csv"
