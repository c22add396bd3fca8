"""Access control: every query of an organization's data starts with the functions of this module.

They raise NotFound (404) for an object of another organization, as if it did not exist; and Forbidden (403) for one
that the principal may see and, by its role there, may not change. `tests/lint/tenancy.py` proves that no query
bypasses them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import true
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.api.access.principal import Principal, Role, require
from services.api.http.pagination import PageRequest, Rows
from services.api.http.problems import NotFound
from services.api.http.repository import read_page
from services.kit.database.tables import Camera, Organization, Store


async def readable_stores(
    session: AsyncSession, principal: Principal, among: Collection[str] | None = None
) -> Sequence[Store]:
    """The stores that the principal may see, ordered by name.

    Args:
        among: ids of stores; None for all.
    """
    query = _stores(principal) if among is None else _stores(principal).where(col(Store.id).in_(among))
    return (await session.exec(query.order_by(col(Store.name), col(Store.id)))).all()


async def readable_stores_page(
    session: AsyncSession, principal: Principal, page: PageRequest, organization: str | None
) -> Rows[Store]:
    """A page of the stores that the principal may see, ordered by id: of one organization, if given.

    Raises:
        NotFound: there is no such organization, or the principal may not see it.
    """
    query = _stores(principal)
    if organization is not None:
        await present_stores_of(session, principal, organization)
        query = query.where(Store.organization == organization)
    return await read_page(session, page, query, col(Store.id), str)


async def readable_store(session: AsyncSession, principal: Principal, store: str, role: Role = Role.VIEWER) -> Store:
    """A store; NotFound or Forbidden as above."""
    row = (await session.exec(_stores(principal).where(Store.id == store))).first()
    if row is None:
        raise NotFound("There is no store {store!r}. GET /v1/stores lists them.", code="no-such-store", store=store)
    require(principal, row.organization, role)
    return row


async def readable_stores_of(session: AsyncSession, principal: Principal, organization: str) -> Sequence[Store]:
    """The stores of an organization, ordered by name; at least one.

    Raises:
        NotFound: there is no such organization, the principal may not see it, or it has no store.
    """
    stores = await _stores_of(session, principal, organization)
    if not stores:
        raise NotFound(
            "There is no organization {organization!r} with a store. GET /v1/stores lists all stores.",
            code="no-such-organization-with-stores",
            organization=organization,
        )
    return stores


async def present_stores_of(session: AsyncSession, principal: Principal, organization: str) -> Sequence[Store]:
    """The stores of an organization, ordered by name; possibly empty.

    Raises:
        NotFound: there is no such organization, or the principal may not see it.
    """
    stores = await _stores_of(session, principal, organization)
    if not stores:
        await readable_organization(session, principal, organization)
    return stores


async def readable_camera(session: AsyncSession, principal: Principal, camera: str, role: Role = Role.VIEWER) -> Camera:
    """A camera; NotFound or Forbidden as above."""
    query = select(Camera, Store.organization).where(Camera.store == Store.id, Camera.id == camera, _reached(principal))
    match = (await session.exec(query)).first()
    if match is None:
        raise NotFound(
            "There is no camera {camera!r}. GET /v1/stores lists them.", code="no-such-camera", camera=camera
        )
    row, organization = match
    require(principal, organization, role)
    return row


async def readable_organizations(session: AsyncSession, principal: Principal, page: PageRequest) -> Rows[Organization]:
    """A page of the organizations that the principal may see. A key that is bound to a store sees none."""
    return await read_page(session, page, select(Organization).where(_known(principal)), col(Organization.id), str)


async def readable_organization(
    session: AsyncSession, principal: Principal, organization: str, role: Role = Role.VIEWER
) -> Organization:
    """An organization; NotFound or Forbidden as above."""
    query = select(Organization).where(_known(principal), Organization.id == organization)
    row = (await session.exec(query)).first()
    if row is None:
        raise NotFound(
            "There is no organization {organization!r}. GET /v1/organizations lists them.",
            code="no-such-organization",
            organization=organization,
        )
    require(principal, organization, role)
    return row


async def _stores_of(session: AsyncSession, principal: Principal, organization: str) -> Sequence[Store]:
    query = _stores(principal).where(Store.organization == organization).order_by(col(Store.name), col(Store.id))
    return (await session.exec(query)).all()


def _stores(principal: Principal) -> SelectOfScalar[Store]:
    return select(Store).where(_reached(principal))


def _reached(principal: Principal) -> ColumnElement[bool]:
    if principal.store is not None:
        return col(Store.id) == principal.store
    if principal.superadmin or principal.everywhere is not None:
        return true()
    return col(Store.organization).in_(list(principal.roles))


def _known(principal: Principal) -> ColumnElement[bool]:
    if principal.superadmin or principal.everywhere is not None:
        return true()
    return col(Organization.id).in_([] if principal.store else list(principal.roles))
