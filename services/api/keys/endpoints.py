"""`/v1/organizations/{organization}/keys`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from services.api.access.principal import Role
from services.api.access.repository import readable_organization
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import WritingDep
from services.api.dependencies import ClockDep, OrganizationID, SessionDep
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import CHANGING, CREATING, READING
from services.api.idempotency.creation import CreationDep
from services.api.keys import service
from services.api.keys.repository import read_keys
from services.api.keys.schemas import KeyIn, KeyOut, NewKeyOut

router = APIRouter(tags=["keys"])

KEYS = "/organizations/{organization}/keys"


@router.get(KEYS, summary="List keys", responses=READING)
async def list_keys(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep
) -> Page[KeyOut]:
    """API keys and edge keys, revoked ones too. Requires the admin role."""
    row = await readable_organization(session, principal, organization, Role.ADMIN)
    return (await read_keys(session, row, page)).show(KeyOut.of)


@router.post(KEYS, summary="Make a key", status_code=HTTPStatus.CREATED, response_model=NewKeyOut, responses=CREATING)
async def create_key(
    organization: OrganizationID, body: KeyIn, principal: PrincipalDep, clock: ClockDep, creation: CreationDep
) -> Response:
    """Requires the admin role. The response contains the key itself, this once."""
    return await creation.once(
        body,
        lambda session: readable_organization(session, principal, organization, Role.ADMIN),
        lambda session, row: service.create(session, principal, row, body, clock),
        tagged=False,
    )


@router.delete(KEYS + "/{key}", summary="Revoke a key", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def revoke_key(
    organization: OrganizationID,
    key: Annotated[UUID, Path(description="The key's id.")],
    principal: PrincipalDep,
    clock: ClockDep,
    writing: WritingDep,
) -> None:
    """Requires the admin role. Takes effect at once and cannot be undone."""
    async with writing.transaction() as session:
        await service.revoke(session, principal, organization, key, clock)
