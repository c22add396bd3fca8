"""Creates at most one object for each `Idempotency-Key`, and repeats the response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.writing import WritingDep
from services.api.dependencies import VaultDep
from services.api.http.etags import etag
from services.api.http.problems import Conflict, Invalid, Unavailable
from services.api.idempotency import repository
from services.api.quotas import holder
from services.kit.database.account_tables import RememberedAnswer
from services.kit.vault import CannotOpen

Place = TypeVar("Place")

REMEMBERED = timedelta(hours=24)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=100,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text that the client chooses, such as a UUID. Repeated within a day with the same body, the "
        "request gets the same response, with `Idempotency-Replayed: true`.",
        examples=["0b9f1c1e-5c2f-4f0e-9d7f-8a3f0f5f6d11"],
    ),
]


@dataclass(frozen=True, slots=True)
class Creation:
    """A POST that creates something at most once for each idempotency key."""

    request: Request
    writing: WritingDep
    vault: VaultDep
    idempotency_key: IdempotencyKey = None

    async def once(
        self,
        body: BaseModel,
        may: Callable[[AsyncSession], Awaitable[Place]],
        make: Callable[[AsyncSession, Place], Awaitable[BaseModel]],
        *,
        tagged: bool = True,
    ) -> Response:
        """Create an object and store the response in one transaction, or return the stored response.

        Args:
            may: finds the object's place; raises where the principal may not create it now, a stored response or not.
            make: creates the object there, and returns the response's body.
            tagged: whether the response has an ETag.

        Raises:
            Invalid: the key was used with another request.
            Conflict: the stored response cannot be decrypted any more.
        """
        async with self.writing.transaction() as session:
            place = await may(session)
            known = await self._recall(session, body)
            if known is not None:
                return known
            made = await make(session, place)
            headers = {"ETag": etag(made)} if tagged else {}
            text = made.model_dump_json(by_alias=True)
            if self.idempotency_key is not None:
                session.add(self._remembered(body, text))
        return Response(text, HTTPStatus.CREATED, headers, JSONResponse.media_type)

    async def _recall(self, session: AsyncSession, body: BaseModel) -> Response | None:
        if self.idempotency_key is None:
            return None
        if not self.vault.usable:
            raise Unavailable(
                "Idempotency-Key takes METRICA_SECRET_KEY, which is not set: leave it out.",
                code="idempotency-without-secret-key",
            )
        await repository.forget_answers(session, self.writing.clock() - REMEMBERED)
        row = await repository.find_answer(session, holder(self.writing.principal), self.idempotency_key)
        if row is None:
            return None
        if not self.vault.is_marked(self._request_text(body), row.fingerprint):
            raise Invalid(
                "This Idempotency-Key came before, with another request: take a new one.", code="idempotency-key-reused"
            )
        try:
            text = self.vault.open(row.sealed)
        except CannotOpen:
            raise Conflict(
                "This was made before, and its answer is sealed with another METRICA_SECRET_KEY: "
                "look at what there is.",
                code="idempotent-answer-unreadable",
            ) from None
        return Response(text, row.status, {"Idempotency-Replayed": "true"}, JSONResponse.media_type)

    def _remembered(self, body: BaseModel, text: str) -> RememberedAnswer:
        assert self.idempotency_key is not None
        return RememberedAnswer(
            who=holder(self.writing.principal),  # no name, which another principal may have later
            key=self.idempotency_key,
            fingerprint=self.vault.mark(self._request_text(body)),
            status=HTTPStatus.CREATED,
            sealed=self.vault.seal(text),
            at=self.writing.clock(),
        )

    def _request_text(self, body: BaseModel) -> str:
        return f"{self.request.method} {self.request.url.path} {body.model_dump_json()}"


CreationDep = Annotated[Creation, Depends(Creation)]
