"""`/v1/organizations/{organization}/members` and `/v1/users`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from services.api.access.principal import Role, require_superadmin
from services.api.access.repository import readable_organization
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import EditDep
from services.api.dependencies import OrganizationID, SessionDep
from services.api.http.etags import tagged
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import CHANGING, READING
from services.api.members import service
from services.api.members.repository import read_members, read_users
from services.api.members.schemas import MemberOut, MemberPatch, UserOut, UserPatch

router = APIRouter(tags=["members"])

MEMBERS = "/organizations/{organization}/members"
UserID = Annotated[UUID, Path(description="The user's id.")]


@router.get(MEMBERS, summary="List members", responses=READING)
async def list_members(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, page: PageDep
) -> Page[MemberOut]:
    """Members and their roles. Requires the admin role."""
    row = await readable_organization(session, principal, organization, Role.ADMIN)
    return (await read_members(session, row, page)).show(lambda member: MemberOut.of(*member))


@router.patch(MEMBERS + "/{user}", summary="Change a member's role", responses=CHANGING)
async def change_member(organization: OrganizationID, user: UserID, body: MemberPatch, edit: EditDep) -> MemberOut:
    """Requires the admin role. In force at the member's next request. Keys made by a former admin are revoked."""
    return await edit.apply(service.change_role, organization, user, body)


@router.delete(MEMBERS + "/{user}", summary="Let a member go", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def remove_member(organization: OrganizationID, user: UserID, edit: EditDep) -> None:
    """Requires the admin role. The account stays. Keys that the member made are revoked, except workers' keys."""
    await edit.apply(service.remove, organization, user)


@router.get("/users", summary="List users", responses=READING)
async def list_users(session: SessionDep, principal: PrincipalDep, page: PageDep) -> Page[UserOut]:
    """All users. Requires a superadmin."""
    require_superadmin(principal)
    return (await read_users(session, page)).show(UserOut.of)


@router.get("/users/{user}", summary="See a user", responses=READING)
async def show_user(user: UserID, session: SessionDep, principal: PrincipalDep, response: Response) -> UserOut:
    """Requires a superadmin."""
    return tagged(response, UserOut.of(await service.find_user(session, principal, user)))


@router.patch("/users/{user}", summary="Change a user", responses=CHANGING)
async def change_user(user: UserID, body: UserPatch, edit: EditDep) -> UserOut:
    """Requires a superadmin. Disabling a user ends all of their sign-ins."""
    return await edit.apply(service.change_user, user, body)
