"""`/v1/organizations/{organization}/invitations` and `/v1/auth/invitations`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from services.api.access import Role, readable_organization
from services.api.dependencies import (
    ClockDep,
    GuestDep,
    OrganizationID,
    PartsDep,
    PrincipalDep,
    SessionDep,
    WritingDep,
)
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import CREATING, READING, describe
from services.api.idempotency import CreationDep
from services.api.invitations import accepting, service
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
_LINK = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


@router.get(INVITATIONS, summary="List invitations", responses=describe(*READING))
async def list_invitations(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep, now: ClockDep
) -> Page[InvitationOut]:
    """Those that were neither accepted nor revoked; the organization's admins see them."""
    items, after = await service.list_pending(session, principal, organization, page, now())
    return Page(items=items, next=after)


@router.post(
    INVITATIONS,
    summary="Invite somebody",
    status_code=HTTPStatus.CREATED,
    response_model=NewInvitationOut,
    responses=describe(*CREATING, HTTPStatus.TOO_MANY_REQUESTS),
)
async def invite(
    organization: OrganizationID, wanted: InvitationIn, principal: PrincipalDep, of: PartsDep, creation: CreationDep
) -> Response:
    """The organization's admins do. A new invitation replaces an earlier one to the same address.

    A mail with a link goes there, whether the address has an account or not. It is good for 24 hours.
    """
    answer = await creation.once(
        wanted,
        lambda session: service.invite(session, principal, organization, wanted, of.outbox, of.settings, of.clock),
        may=lambda session: readable_organization(session, principal, organization, Role.ADMIN),
        tagged=False,
    )
    of.outbox.wake()
    return answer


@router.delete(
    INVITATIONS + "/{invitation}",
    summary="Revoke an invitation",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(*CREATING),
)
async def revoke(
    organization: OrganizationID,
    invitation: InvitationID,
    principal: PrincipalDep,
    of: PartsDep,
    writing: WritingDep,
) -> None:
    """The organization's admins do: its link lets nobody in any more."""
    async with writing() as session:
        await service.revoke(session, principal, organization, invitation, of.clock())


@links.post("/look", summary="See an invitation", responses=describe(*_LINK, HTTPStatus.SERVICE_UNAVAILABLE))
async def look(wanted: LinkIn, of: PartsDep, guest: GuestDep) -> InvitationLook:
    """What it is about, for the person who holds its link; nobody has to be signed in."""
    return await accepting.look(of, guest, wanted.token.get_secret_value())


@links.post(
    "/accept",
    summary="Accept an invitation",
    responses=describe(*_LINK, HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def accept(wanted: AcceptIn, of: PartsDep, guest: GuestDep) -> AcceptedOut:
    """Makes an account with the password that was chosen; who has one already signs in first."""
    return await accepting.accept(of, guest, wanted)
