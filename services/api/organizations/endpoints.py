"""`/v1/organizations`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from services.api.access.principal import superadmins_only
from services.api.access.repository import readable_organization, readable_organizations
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import EditDep
from services.api.dependencies import OrganizationID, SessionDep
from services.api.http.etags import tagged
from services.api.http.pagination import Page, PageDep
from services.api.http.problems import CHANGING, CREATING, READING
from services.api.idempotency.creation import CreationDep
from services.api.organizations import service
from services.api.organizations.schemas import OrganizationIn, OrganizationOut, OrganizationPatch

router = APIRouter(tags=["organizations"])


@router.get("/organizations", summary="List organizations", responses=READING)
async def list_organizations(session: SessionDep, principal: PrincipalDep, page: PageDep) -> Page[OrganizationOut]:
    """Organizations that you may see, ordered by id."""
    return (await readable_organizations(session, principal, page)).show(OrganizationOut.of)


@router.post(
    "/organizations",
    summary="Make an organization",
    status_code=HTTPStatus.CREATED,
    response_model=OrganizationOut,
    responses=CREATING,
)
async def create_organization(body: OrganizationIn, principal: PrincipalDep, creation: CreationDep) -> Response:
    """Requires a superadmin."""
    return await creation.once(
        body, lambda _: superadmins_only(principal), lambda session, _: service.create(session, body)
    )


@router.get("/organizations/{organization}", summary="See an organization", responses=READING)
async def show_organization(
    organization: OrganizationID, session: SessionDep, principal: PrincipalDep, response: Response
) -> OrganizationOut:
    """An organization. Send the ETag as `If-Match` with a change."""
    return tagged(response, OrganizationOut.of(await readable_organization(session, principal, organization)))


@router.patch("/organizations/{organization}", summary="Change an organization", responses=CHANGING)
async def change_organization(organization: OrganizationID, body: OrganizationPatch, edit: EditDep) -> OrganizationOut:
    """Requires the admin role."""
    return await edit.apply(service.change, organization, body)


@router.delete(
    "/organizations/{organization}",
    summary="Remove an organization",
    status_code=HTTPStatus.NO_CONTENT,
    responses=CHANGING,
)
async def remove_organization(organization: OrganizationID, edit: EditDep) -> None:
    """Requires a superadmin, and an organization without stores. Its members keep their accounts."""
    await edit.apply(service.remove, organization)
