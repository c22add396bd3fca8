"""`/v1/organizations/{organization}/invitations` and `/v1/auth/invitations`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from services.api.access.principal import Role
from services.api.access.repository import readable_organization
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import WritingDep
from services.api.dependencies import ClockDep, OrganizationID, OutboxDep, SessionDep, SettingsDep
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import ANYBODY, CREATING, READING, describe
from services.api.idempotency.creation import CreationDep
from services.api.invitations import service
from services.api.invitations.accepting import AcceptanceDep
from services.api.invitations.schemas import (
    AcceptedOut,
    AcceptIn,
    InvitationIn,
    InvitationLook,
    InvitationOut,
    LinkIn,
    NewInvitationOut,
)

router = APIRouter(tags=["members"])
links = APIRouter(prefix="/auth/invitations", tags=["sign-in"])

INVITATIONS = "/organizations/{organization}/invitations"
InvitationID = Annotated[UUID, Path(description="The invitation's id.")]
_LINK = ANYBODY | describe(HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN)


@router.get(INVITATIONS, summary="List invitations", responses=READING)
async def list_invitations(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep, now: ClockDep
) -> Page[InvitationOut]:
    """Invitations that were neither accepted nor revoked. Requires the admin role."""
    return await service.list_pending(session, principal, organization, page, now())


@router.post(
    INVITATIONS,
    summary="Invite somebody",
    status_code=HTTPStatus.CREATED,
    response_model=NewInvitationOut,
    responses=CREATING,
)
async def invite(
    organization: OrganizationID,
    body: InvitationIn,
    principal: PrincipalDep,
    creation: CreationDep,
    outbox: OutboxDep,
    settings: SettingsDep,
    clock: ClockDep,
) -> Response:
    """Requires the admin role. A new invitation replaces an earlier one to the same address.

    Sends a mail with a link that is valid for 24 hours, whether the address has an account or not.
    """
    answer = await creation.once(
        body,
        lambda session: readable_organization(session, principal, organization, Role.ADMIN),
        lambda session, row: service.invite(session, principal, row, body, outbox, settings, clock()),
        tagged=False,
    )
    outbox.wake()
    return answer


@router.delete(
    INVITATIONS + "/{invitation}", summary="Revoke an invitation", status_code=HTTPStatus.NO_CONTENT, responses=CREATING
)
async def revoke(
    organization: OrganizationID,
    invitation: InvitationID,
    principal: PrincipalDep,
    writing: WritingDep,
    clock: ClockDep,
) -> None:
    """Requires the admin role. The invitation's link becomes invalid."""
    async with writing.transaction() as session:
        await service.revoke(session, principal, organization, invitation, clock())


@links.post("/look", summary="See an invitation", responses=_LINK)
async def look(body: LinkIn, acceptance: AcceptanceDep) -> InvitationLook:
    """An invitation, for the holder of its link. Needs no sign-in."""
    return await acceptance.look(body.token.get_secret_value())


@links.post(
    "/accept", summary="Accept an invitation", responses=_LINK | describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT)
)
async def accept(body: AcceptIn, acceptance: AcceptanceDep) -> AcceptedOut:
    """Adds the invited person as a member. A new account takes the password; an existing one must be signed in."""
    return await acceptance.accept(body)
