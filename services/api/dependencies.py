"""What endpoints ask for by type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import TOKEN_PATTERN
from services.api.access import LOCAL, Principal
from services.api.auth.principal import identify, identify_worker
from services.api.auth.tokens.api_keys import Worker
from services.api.clock import Clock
from services.api.http.problems import Unauthorized
from services.api.live.statuses import Statuses
from services.api.quotas import Kind
from services.api.state import Parts
from services.api.transaction import writing
from services.kit.network.client_addresses import client_network

BeginWriting = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Hold = Callable[[Kind, str], AbstractContextManager[None]]
"""Holds one of a kind for an organization, for as long as the context lasts; see `services.api.quotas`."""


def parts(request: Request) -> Parts:
    """The parts of the application that the request reached."""
    found = request.app.state.parts
    assert isinstance(found, Parts)
    return found


PartsDep = Annotated[Parts, Depends(parts)]


async def open_session(of: PartsDep) -> AsyncIterator[AsyncSession]:
    """A transaction for one request."""
    async with of.sessions() as session:
        yield session


def clock(of: PartsDep) -> Clock:
    """The clock."""
    return of.clock


def statuses(of: PartsDep) -> Statuses:
    """The cameras' last statuses."""
    return of.statuses


async def principal(request: Request, of: PartsDep) -> Principal:
    """Who asks."""
    return await identify(request, of)


async def guest(request: Request, of: PartsDep) -> Principal | None:
    """Who asks, where somebody is signed in; routes for people who hold a link take nobody as well."""
    try:
        found = await identify(request, of)
    except Unauthorized:
        return None
    return None if found is LOCAL else found


async def worker(
    of: PartsDep, x_worker_key: Annotated[str | None, Header(description="The key of a worker at the edge.")] = None
) -> Worker:
    """Which worker at the edge asks."""
    return await identify_worker(of, x_worker_key)


PrincipalDep = Annotated[Principal, Depends(principal)]
GuestDep = Annotated[Principal | None, Depends(guest)]


def begin_writing(of: PartsDep, principal: PrincipalDep) -> BeginWriting:
    """What opens a transaction that changes the configuration, in the name of who asks."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[AsyncSession]:
        of.changes.count(principal)
        async with writing(of.writable, principal.name, of.clock) as session:
            yield session

    return begin


def count_change(of: PartsDep, principal: PrincipalDep) -> None:
    """Count a change that is made without `begin_writing`."""
    of.changes.count(principal)


def hold(request: Request, of: PartsDep, principal: PrincipalDep) -> Hold:
    """What holds a share of something scarce, in the name of the one who asks."""
    address = client_network(request.scope)
    return lambda kind, organization: of.quotas.hold(kind, principal, organization, address)


# scope="function": the session goes back before the answer is sent, so that a slow reader holds none.
SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]
ClockDep = Annotated[Clock, Depends(clock)]
StatusesDep = Annotated[Statuses, Depends(statuses)]
WorkerDep = Annotated[Worker, Depends(worker)]
HoldDep = Annotated[Hold, Depends(hold)]
ChangeCounted = Depends(count_change)
WritingDep = Annotated[BeginWriting, Depends(begin_writing)]

StoreID = Annotated[str, Path(description="The store's id.", pattern=TOKEN_PATTERN)]
OrganizationID = Annotated[str, Path(description="The organization's id.", pattern=TOKEN_PATTERN)]
CameraID = Annotated[str, Path(description="The camera's id.", pattern=TOKEN_PATTERN)]
