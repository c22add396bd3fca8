"""Making, changing and removing organizations. Superadmins make and remove them; an admin changes their own."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, Role, readable_organization, require_superadmin
from services.api.auth.second_factor import factors
from services.api.http import etags
from services.api.http.ids import free_id
from services.api.http.problems import Conflict, Forbidden
from services.api.organizations.schemas import OrganizationIn, OrganizationOut, OrganizationPatch
from services.kit.database.account_tables import ApiKey, Membership
from services.kit.database.tables import Organization, Store


async def create(session: AsyncSession, principal: Principal, wanted: OrganizationIn) -> OrganizationOut:
    """Make one."""
    require_superadmin(principal)
    name = await free_id(session, Organization, wanted.id, wanted.name)
    made = Organization(id=name, name=wanted.name, months_kept=wanted.months_kept)
    session.add(made)
    return OrganizationOut.of(made)


async def change(
    session: AsyncSession, principal: Principal, organization: str, wanted: OrganizationPatch, if_match: str | None
) -> OrganizationOut:
    """Change what is said.

    Raises:
        Forbidden: a key asks for second factors; people do.
        Conflict: the admin has none, and would be the first to have no role.
    """
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    etags.check(if_match, OrganizationOut.of(found))
    if wanted.said.get("second_factor", found.second_factor) != found.second_factor:
        await _may_change_second_factor(session, principal, wanted.second_factor)
    for name, value in wanted.said.items():
        setattr(found, name, value)
    session.add(found)
    return OrganizationOut.of(found)


async def _may_change_second_factor(session: AsyncSession, principal: Principal, on: bool) -> None:
    if principal.user is None:
        raise Forbidden("Whether members need a second factor is said by people, and by no key.")
    signed_in_here = principal.sign_in is not None
    if on and signed_in_here and await factors.find(session, principal.user) is None:
        raise Conflict("Set up a second factor of your own first: without, you would have no role here any more.")


async def remove(session: AsyncSession, principal: Principal, organization: str, if_match: str | None) -> None:
    """Remove one that has no stores, with its members and keys."""
    found = await readable_organization(session, principal, organization)
    require_superadmin(principal)
    etags.check(if_match, OrganizationOut.of(found))
    if (await session.exec(select(Store.id).where(Store.organization == found.id).limit(1))).first() is not None:
        raise Conflict(f"The organization {found.id} has stores: remove those first.")
    for kind in (Membership, ApiKey):
        for row in (await session.exec(select(kind).where(col(kind.organization) == found.id))).all():
            await session.delete(row)
    await session.flush()
    await session.delete(found)
