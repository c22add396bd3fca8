"""`/v1/organizations/{organization}/changes`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from services.api.access.principal import Role
from services.api.access.repository import readable_organization
from services.api.audit.repository import read_entries
from services.api.auth.dependencies import PrincipalDep
from services.api.dependencies import OrganizationID, SessionDep
from services.api.http.bodies import RowOut
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import READING

router = APIRouter(tags=["changes"])


class ChangeOut(RowOut):
    """A change of the configuration."""

    id: int
    at: datetime
    who: str
    action: Literal["created", "changed", "removed"]
    kind: str = Field(description="Kind of object: organization, store, camera, line, zone, user, membership, key.")
    key: str = Field(description="Id of the object.")
    before: dict[str, object] | None = Field(
        description="Values before: of a change, only the changed fields. Secrets are masked."
    )
    after: dict[str, object] | None = Field(
        description="Values after. In `before` and `after`, a long value is replaced by `{cut, bytes, sha256}`."
    )


@router.get("/organizations/{organization}/changes", summary="List changes", responses=READING)
async def list_changes(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep
) -> Page[ChangeOut]:
    """The organization's audit log, newest first. Requires the admin role."""
    row = await readable_organization(session, principal, organization, Role.ADMIN)
    return (await read_entries(session, row, page)).show(ChangeOut.of)
