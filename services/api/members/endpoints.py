"""`/v1/organizations/{organization}/members` and `/v1/users`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from services.api.auth.dependencies import PrincipalDep, WritingDep
from services.api.dependencies import ClockDep, OrganizationID, SessionDep
from services.api.http.etags import IfMatch, tagged
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import CHANGING, READING, describe
from services.api.members import service
from services.api.members.schemas import MemberOut, MemberPatch, UserOut, UserPatch

router = APIRouter(tags=["members"])

MEMBERS = "/organizations/{organization}/members"
UserID = Annotated[UUID, Path(description="The user's id.")]


@router.get(MEMBERS, summary="List members", responses=describe(*READING))
async def list_members(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep
) -> Page[MemberOut]:
    """Who may do what in an organization; its admins see it."""
    items, after = await service.list_members(session, principal, organization, page)
    return Page(items=items, next=after)


@router.patch(MEMBERS + "/{user}", summary="Change a member's role", responses=describe(*CHANGING))
async def change_member(
    organization: OrganizationID,
    user: UserID,
    wanted: MemberPatch,
    principal: PrincipalDep,
    writing: WritingDep,
    clock: ClockDep,
    response: Response,
    if_match: IfMatch = None,
) -> MemberOut:
    """Its admins do. In force at the member's next request; keys that an admin of before has made are revoked."""
    async with writing() as session:
        shown = await service.change_role(session, principal, organization, user, wanted, if_match, clock)
    return tagged(response, shown)


@router.delete(
    MEMBERS + "/{user}",
    summary="Let a member go",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(*CHANGING),
)
async def remove_member(
    organization: OrganizationID,
    user: UserID,
    principal: PrincipalDep,
    writing: WritingDep,
    clock: ClockDep,
    if_match: IfMatch = None,
) -> None:
    """Its admins do. The account stays; keys that they made are revoked, but those of workers."""
    async with writing() as session:
        await service.remove(session, principal, organization, user, if_match, clock)


@router.get("/users", summary="List users", responses=describe(*READING))
async def list_users(session: SessionDep, principal: PrincipalDep, page: PageDep) -> Page[UserOut]:
    """All that there are; superadmins see them."""
    items, after = await service.list_users(session, principal, page)
    return Page(items=items, next=after)


@router.get("/users/{user}", summary="See a user", responses=describe(*READING))
async def show_user(user: UserID, session: SessionDep, principal: PrincipalDep, response: Response) -> UserOut:
    """Superadmins do."""
    return tagged(response, UserOut.of(await service.find_user(session, principal, user)))


@router.patch("/users/{user}", summary="Change a user", responses=describe(*CHANGING))
async def change_user(
    user: UserID,
    wanted: UserPatch,
    principal: PrincipalDep,
    writing: WritingDep,
    clock: ClockDep,
    response: Response,
    if_match: IfMatch = None,
) -> UserOut:
    """Superadmins do. Who is disabled is signed out at once."""
    async with writing() as session:
        shown = await service.change_user(session, principal, user, wanted, if_match, clock)
    return tagged(response, shown)
