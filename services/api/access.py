"""Who may see and change what. Every query of an organization's data begins here; nothing else selects its stores.

What is looked for and is another organization's is not there: 404, as if it did not exist. What may be seen and not
changed is 403. `tests/lint/tenancy.py` proves that no query goes around.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import true
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.api.http.problems import Forbidden, NotFound, Unauthorized
from services.kit.database.tables import Camera, Organization, Store


class Role(StrEnum):
    """What somebody may do in an organization; each may do all that the one before may."""

    VIEWER = "viewer"
    """Sees stores, counts and pictures."""
    MANAGER = "manager"
    """Changes cameras, lines and stores."""
    ADMIN = "admin"
    """Says who else may do what, and makes keys and stores."""

    def allows(self, wanted: Role) -> bool:
        """Whether it is that role or a higher one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(wanted)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: as the log of changes has it.
        roles: by organization.
        everywhere: the role in organizations that `roles` does not name.
        store: the only store that is reached, for a key that is bound to one.
        superadmin: may do everything in all organizations, and make them.
        user: of a person.
        sign_in: the family of refresh tokens of a person who signed in here.
        key: of a machine.
        until: when the word of another issuer ends, which nobody can take back before.
    """

    name: str
    roles: Mapping[str, Role] = field(default_factory=dict)
    everywhere: Role | None = None
    store: str | None = None
    superadmin: bool = False
    user: UUID | None = None
    sign_in: UUID | None = None
    key: UUID | None = None
    until: datetime | None = None

    def role_in(self, organization: str) -> Role | None:
        """What it may do there; None where it may not even know of it."""
        return Role.ADMIN if self.superadmin else self.roles.get(organization, self.everywhere)


LOCAL = Principal("somebody at this machine", everywhere=Role.VIEWER)
"""Who sits at the machine, where METRICA_LOCAL_ACCESS lets them see without signing in."""

SERVICE = Principal("api", everywhere=Role.VIEWER)
"""The API itself, filling what is handed out to all who were let in."""


async def readable_stores(
    session: AsyncSession, principal: Principal, among: Collection[str] | None = None
) -> Sequence[Store]:
    """The stores that the principal may see, all or some, by name."""
    query = _stores(principal) if among is None else _stores(principal).where(col(Store.id).in_(among))
    return (await session.exec(query.order_by(col(Store.name), col(Store.id)))).all()


async def readable_store(session: AsyncSession, principal: Principal, store: str, role: Role = Role.VIEWER) -> Store:
    """One store.

    Raises:
        NotFound: there is none, or not for this principal.
        Forbidden: the principal may see it, and is not of the role.
    """
    found = (await session.exec(_stores(principal).where(Store.id == store))).first()
    if found is None:
        raise NotFound(f"There is no store {store!r}. GET /v1/stores lists them.")
    require(principal, found.organization, role)
    return found


async def readable_stores_of(session: AsyncSession, principal: Principal, organization: str) -> Sequence[Store]:
    """The stores of one organization, by name.

    Raises:
        NotFound: there is no such organization, or not for this principal, or it has no store.
    """
    found = await _stores_of(session, principal, organization)
    if not found:
        raise NotFound(f"There is no organization {organization!r} with a store. GET /v1/stores lists what there is.")
    return found


async def present_stores_of(session: AsyncSession, principal: Principal, organization: str) -> Sequence[Store]:
    """The stores of one organization, by name; none where it has none yet.

    Raises:
        NotFound: there is no such organization, or not for this principal.
    """
    found = await _stores_of(session, principal, organization)
    if not found:
        await readable_organization(session, principal, organization)
    return found


async def readable_camera(session: AsyncSession, principal: Principal, camera: str, role: Role = Role.VIEWER) -> Camera:
    """One camera.

    Raises:
        NotFound: there is none, or not for this principal.
        Forbidden: the principal may see it, and is not of the role.
    """
    query = select(Camera, Store.organization).where(Camera.store == Store.id, Camera.id == camera, _reached(principal))
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound(f"There is no camera {camera!r}. GET /v1/stores lists them.")
    row, organization = found
    require(principal, organization, role)
    return row


def readable_organizations(principal: Principal) -> SelectOfScalar[Organization]:
    """The organizations that the principal may know of. One bound to a store sees no more than that store."""
    return select(Organization).where(_known(principal))


async def readable_organization(
    session: AsyncSession, principal: Principal, organization: str, role: Role = Role.VIEWER
) -> Organization:
    """One organization.

    Raises:
        NotFound: there is none, or not for this principal.
        Forbidden: the principal may see it, and is not of the role.
    """
    query = readable_organizations(principal).where(Organization.id == organization)
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound(f"There is no organization {organization!r}. GET /v1/organizations lists them.")
    require(principal, organization, role)
    return found


def require(principal: Principal, organization: str, role: Role) -> None:
    """Let only those pass who are of a role in an organization.

    Raises:
        Unauthorized: somebody who has not signed in, and would have to.
        Forbidden: the role is a lower one.
    """
    held = principal.role_in(organization)
    if held is not None and held.allows(role):
        return
    if principal is LOCAL:
        raise Unauthorized("Sign in: without, this machine only looks.")
    raise Forbidden(f"This takes the role {role} in the organization {organization}; {principal.name} is {held}.")


def require_superadmin(principal: Principal) -> None:
    """Let only superadmins pass.

    Raises:
        Unauthorized: somebody who has not signed in, and would have to.
        Forbidden: it is none.
    """
    if principal.superadmin:
        return
    if principal is LOCAL:
        raise Unauthorized("Sign in: without, this machine only looks.")
    raise Forbidden(f"This takes a superadmin, and {principal.name} is none.")


async def superadmins_only(principal: Principal) -> None:
    """The same, for what waits for its answer."""
    require_superadmin(principal)


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
