"""Changes of the configuration in the name of a request's principal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Concatenate, ParamSpec, Self, TypeVar

from fastapi import Depends, Response
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.dependencies import ChangeQuotaDep, PrincipalDep
from services.api.dependencies import ClockDep, WritableDep
from services.api.http import etags
from services.api.transaction import writing

Arguments = ParamSpec("Arguments")
Changed = TypeVar("Changed", bound=BaseModel | None)


@dataclass(frozen=True, slots=True)
class Writing:
    """Opens transactions for changes, and counts them in the principal's quota."""

    principal: PrincipalDep
    clock: ClockDep
    writable: WritableDep
    change_quota: ChangeQuotaDep

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction of `services.api.transaction.writing`.

        Raises:
            TooMany: the principal has made too many changes.
        """
        self.change_quota.count(self.principal)
        async with writing(self.writable, self.principal.name, self.clock) as session:
            yield session


@dataclass(frozen=True, slots=True)
class Edit(Writing):
    """A change of one object, as its client has read it."""

    response: Response
    if_match: etags.IfMatch = None

    async def apply(
        self,
        change: Callable[Concatenate[AsyncSession, Self, Arguments], Awaitable[Changed]],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Changed:
        """Change or remove the object in a transaction. The response has the ETag of a changed one."""
        async with self.transaction() as session:
            changed = await change(session, self, *args, **kwargs)
        return changed if changed is None else etags.tagged(self.response, changed)

    def check(self, present: BaseModel) -> None:
        """Compare the present object with the one that the client has read.

        Raises:
            ChangedMeanwhile: the object is not at the ETag of the request's If-Match.
        """
        etags.check(self.if_match, present)


WritingDep = Annotated[Writing, Depends(Writing)]
EditDep = Annotated[Edit, Depends(Edit)]
