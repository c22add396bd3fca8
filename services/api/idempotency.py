"""POST once: with an `Idempotency-Key`, a request that comes again gets the first answer, and makes nothing twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from services.api.auth.dependencies import ChangeQuotaDep, PrincipalDep
from services.api.change_quota import ChangeQuota
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.dependencies import ClockDep, VaultDep, WritableDep
from services.api.http.etags import etag
from services.api.http.problems import Conflict, Invalid, Unavailable
from services.api.quotas import holder
from services.api.transaction import writing
from services.kit.database.account_tables import RememberedAnswer
from services.kit.vault import CannotOpen, Vault

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


@dataclass(frozen=True, slots=True)
class Creation:
    """A POST that creates something at most once for each idempotency key."""

    request: Request
    principal: Principal
    key: str | None
    writable: Sessions
    change_quota: ChangeQuota
    vault: Vault
    clock: Clock

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
        self.change_quota.count(self.principal)
        async with writing(self.writable, self.principal.name, self.clock) as session:
            await may(session)
            known = await self._recall(session, wanted)
            if known is not None:
                return known
            shown = await make(session)
            headers = {"ETag": etag(shown)} if tagged else {}
            body = shown.model_dump_json(by_alias=True)
            if self.key is not None:
                session.add(self._remembered(wanted, body))
        return Response(body, HTTPStatus.CREATED, headers, JSONResponse.media_type)

    async def _recall(self, session: AsyncSession, wanted: BaseModel) -> Response | None:
        if self.key is None:
            return None
        if not self.vault.usable:
            raise Unavailable("Idempotency-Key takes METRICA_SECRET_KEY, which is not set: leave it out.")
        too_old = col(RememberedAnswer.at) <= self.clock() - REMEMBERED
        await session.exec(delete(RememberedAnswer).where(too_old))
        query = select(RememberedAnswer).where(
            RememberedAnswer.who == holder(self.principal), RememberedAnswer.key == self.key
        )
        found = (await session.exec(query)).first()
        if found is None:
            return None
        if not self.vault.is_marked(self._asked(wanted), found.fingerprint):
            raise Invalid("This Idempotency-Key came before, with another request: take a new one.")
        try:
            body = self.vault.open(found.sealed)
        except CannotOpen:
            raise Conflict(
                "This was made before, and its answer is sealed with another METRICA_SECRET_KEY: look at what there is."
            ) from None
        return Response(body, found.status, {"Idempotency-Replayed": "true"}, JSONResponse.media_type)

    def _remembered(self, wanted: BaseModel, body: str) -> RememberedAnswer:
        assert self.key is not None
        return RememberedAnswer(
            who=holder(self.principal),  # no name: somebody else may have it later
            key=self.key,
            fingerprint=self.vault.mark(self._asked(wanted)),
            status=HTTPStatus.CREATED,
            sealed=self.vault.seal(body),
            at=self.clock(),
        )

    def _asked(self, wanted: BaseModel) -> str:
        return f"{self.request.method} {self.request.url.path} {wanted.model_dump_json()}"


def creation(
    request: Request,
    principal: PrincipalDep,
    writable: WritableDep,
    change_quota: ChangeQuotaDep,
    vault: VaultDep,
    clock: ClockDep,
    idempotency_key: IdempotencyKey = None,
) -> Creation:
    """The creation of this request."""
    return Creation(request, principal, idempotency_key, writable, change_quota, vault, clock)


CreationDep = Annotated[Creation, Depends(creation)]
