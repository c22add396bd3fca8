"""POST once: with an `Idempotency-Key`, a request that comes again gets the first answer, and makes nothing twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal
from services.api.dependencies import PartsDep, PrincipalDep
from services.api.http.etags import etag
from services.api.http.problems import Conflict, Invalid, Unavailable
from services.api.quotas import holder
from services.api.state import Parts
from services.api.transaction import writing
from services.kit.database.account_tables import RememberedAnswer
from services.kit.vault import CannotOpen

REMEMBERED = timedelta(hours=24)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=100,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of the caller's, a UUID for one. Who sends it again within a day, with the same body, "
        "gets the same answer, with `Idempotency-Replayed: true`.",
        examples=["0b9f1c1e-5c2f-4f0e-9d7f-8a3f0f5f6d11"],
    ),
]


class Creation:
    """What a POST makes, once."""

    def __init__(self, of: Parts, principal: Principal, request: Request, key: str | None) -> None:
        self._of, self._principal, self._request, self._key = of, principal, request, key

    async def once(
        self,
        wanted: BaseModel,
        make: Callable[[AsyncSession], Awaitable[BaseModel]],
        *,
        may: Callable[[AsyncSession], Awaitable[object]],
        tagged: bool = True,
    ) -> Response:
        """Make it in one transaction with the memory of it, or answer as before those who still may make it.

        Args:
            wanted: the request's body.
            make: makes it, in a transaction of `services.api.transaction`, and gives what the answer shows.
            may: raises where the principal may not make it now, whatever was answered before.
            tagged: whether the answer carries an ETag.

        Raises:
            Invalid: the same key came with another request.
            Conflict: the answer cannot be read any more.
        """
        self._of.changes.count(self._principal)
        async with writing(self._of.writable, self._principal.name, self._of.clock) as session:
            await may(session)
            known = await self._recall(session, wanted)
            if known is not None:
                return known
            shown = await make(session)
            headers = {"ETag": etag(shown)} if tagged else {}
            body = shown.model_dump_json(by_alias=True)
            if self._key is not None:
                session.add(self._remembered(wanted, body))
        return Response(body, HTTPStatus.CREATED, headers, JSONResponse.media_type)

    async def _recall(self, session: AsyncSession, wanted: BaseModel) -> Response | None:
        if self._key is None:
            return None
        if not self._of.vault.usable:
            raise Unavailable("Idempotency-Key takes METRICA_SECRET_KEY, which is not set: leave it out.")
        too_old = col(RememberedAnswer.at) <= self._of.clock() - REMEMBERED
        await session.exec(delete(RememberedAnswer).where(too_old))
        query = select(RememberedAnswer).where(
            RememberedAnswer.who == holder(self._principal), RememberedAnswer.key == self._key
        )
        found = (await session.exec(query)).first()
        if found is None:
            return None
        if not self._of.vault.is_marked(self._asked(wanted), found.fingerprint):
            raise Invalid("This Idempotency-Key came before, with another request: take a new one.")
        try:
            body = self._of.vault.open(found.sealed)
        except CannotOpen:
            raise Conflict(
                "This was made before, and its answer is sealed with another METRICA_SECRET_KEY: look at what there is."
            ) from None
        return Response(body, found.status, {"Idempotency-Replayed": "true"}, JSONResponse.media_type)

    def _remembered(self, wanted: BaseModel, body: str) -> RememberedAnswer:
        assert self._key is not None
        return RememberedAnswer(
            who=holder(self._principal),  # no name: somebody else may have it later
            key=self._key,
            fingerprint=self._of.vault.mark(self._asked(wanted)),
            status=HTTPStatus.CREATED,
            sealed=self._of.vault.seal(body),
            at=self._of.clock(),
        )

    def _asked(self, wanted: BaseModel) -> str:
        return f"{self._request.method} {self._request.url.path} {wanted.model_dump_json()}"


def creation(
    of: PartsDep, principal: PrincipalDep, request: Request, idempotency_key: IdempotencyKey = None
) -> Creation:
    """What makes something once for this request."""
    return Creation(of, principal, request, idempotency_key)


CreationDep = Annotated[Creation, Depends(creation)]
