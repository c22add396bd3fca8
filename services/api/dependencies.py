"""Dependencies that endpoints of all features share. A feature's own are in its `dependencies.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import TOKEN_PATTERN
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.mail.outbox import Outbox
from services.api.settings import ApiSettings
from services.api.statuses import Statuses
from services.kit.nats.bus import Bus
from services.kit.service import Health
from services.kit.vault import Vault


def component(name: str) -> Any:  # noqa: ANN401  # as `fastapi.Depends`, which the annotation beside it types
    """Dependency on a component of the application, an attribute of `services.api.state.AppState`.

    That class is not imported here: it imports every feature, and the features import this module.
    """

    def read(request: Request) -> object:
        return getattr(request.app.state.components, name)

    return Depends(read)


SettingsDep = Annotated[ApiSettings, component("settings")]
BusDep = Annotated[Bus, component("bus")]
HealthDep = Annotated[Health, component("health")]
SessionsDep = Annotated[Sessions, component("sessions")]
WritableDep = Annotated[Sessions, component("writable")]
StatusesDep = Annotated[Statuses, component("statuses")]
ClockDep = Annotated[Clock, component("clock")]
VaultDep = Annotated[Vault, component("vault")]
OutboxDep = Annotated[Outbox, component("outbox")]


async def open_session(sessions: SessionsDep) -> AsyncIterator[AsyncSession]:
    """A read transaction for one request."""
    async with sessions() as session:
        yield session


# scope="function": the session goes back before the answer is sent, so that a slow reader holds none.
SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]

StoreID = Annotated[str, Path(description="The store's id.", pattern=TOKEN_PATTERN)]
OrganizationID = Annotated[str, Path(description="The organization's id.", pattern=TOKEN_PATTERN)]
CameraID = Annotated[str, Path(description="The camera's id.", pattern=TOKEN_PATTERN)]
