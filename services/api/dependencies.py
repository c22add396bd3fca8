"""What endpoints ask for by type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import TOKEN_PATTERN
from services.api.access import LOCAL, Principal
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.history.export import Exports
from services.api.live.feed import Feed
from services.api.live.hub import Hub
from services.api.live.statuses import Statuses
from services.api.settings import ApiSettings
from services.kit.bus import Bus
from services.kit.service import Health


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the running API, made once by `services.api.app`."""

    settings: ApiSettings
    bus: Bus
    health: Health
    sessions: Sessions
    statuses: Statuses
    hub: Hub
    feed: Feed
    exports: Exports
    clock: Clock


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


def principal() -> Principal:
    """Who asks. Until sign-in exists, only this machine can reach the API, and whoever sits at it sees all."""
    return LOCAL


# scope="function": the session goes back before the answer is sent, so that a slow reader holds none.
SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]
PrincipalDep = Annotated[Principal, Depends(principal)]
ClockDep = Annotated[Clock, Depends(clock)]
StatusesDep = Annotated[Statuses, Depends(statuses)]

StoreID = Annotated[str, Path(description="The store's id.", pattern=TOKEN_PATTERN)]
OrganizationID = Annotated[str, Path(description="The organization's id.", pattern=TOKEN_PATTERN)]
CameraID = Annotated[str, Path(description="The camera's id.", pattern=TOKEN_PATTERN)]
