"""`/v1/organizations/{organization}/changes`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlmodel import col, select

from services.api.access import Role, readable_organization
from services.api.auth.dependencies import PrincipalDep
from services.api.dependencies import OrganizationID, SessionDep
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import READING, describe
from services.kit.database.account_tables import AuditEntry

router = APIRouter(tags=["changes"])


class ChangeOut(BaseModel):
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


@router.get("/organizations/{organization}/changes", summary="List changes", responses=describe(*READING))
async def list_changes(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep
) -> Page[ChangeOut]:
    """The organization's audit log, newest first. Requires the admin role."""
    row = await readable_organization(session, principal, organization, Role.ADMIN)
    query = select(AuditEntry).where(AuditEntry.organization == row.id)
    entries, after = await page.read(session, query, col(AuditEntry.id), _read_id, newest_first=True)
    return Page(items=[ChangeOut.model_validate(entry.model_dump()) for entry in entries], next=after)


def _read_id(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError(f"{text} is no id")
    return number
