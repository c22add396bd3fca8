"""Organizations: superadmins create and remove them, admins change their own."""

from __future__ import annotations

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role, require_superadmin
from services.api.access.repository import readable_organization
from services.api.auth.second_factor import repository as second_factors
from services.api.auth.writing import Edit
from services.api.http.problems import Conflict, Forbidden
from services.api.http.repository import free_id
from services.api.organizations import repository
from services.api.organizations.schemas import OrganizationIn, OrganizationOut, OrganizationPatch
from services.kit.database.tables import Organization


async def create(session: AsyncSession, body: OrganizationIn) -> OrganizationOut:
    """Create an organization."""
    name = await free_id(session, Organization, body.id, body.name)
    made = Organization(id=name, name=body.name, months_kept=body.months_kept)
    session.add(made)
    return OrganizationOut.of(made)


async def change(session: AsyncSession, edit: Edit, organization: str, body: OrganizationPatch) -> OrganizationOut:
    """Update the fields of an organization that the body sets.

    Raises:
        Forbidden: a key changes the requirement of second factors, which takes a user.
        Conflict: the admin has no second factor, and would lose the role.
    """
    row = await readable_organization(session, edit.principal, organization, Role.ADMIN)
    edit.check(OrganizationOut.of(row))
    if body.changes.get("second_factor", row.second_factor) != row.second_factor:
        await _may_change_second_factor(session, edit.principal, body.second_factor)
    for name, value in body.changes.items():
        setattr(row, name, value)
    session.add(row)
    return OrganizationOut.of(row)


async def _may_change_second_factor(session: AsyncSession, principal: Principal, on: bool) -> None:
    if principal.user is None:
        raise Forbidden(
            "Whether members need a second factor is said by people, and by no key.",
            code="second-factor-rule-by-people",
        )
    signed_in_here = principal.sign_in is not None
    if on and signed_in_here and await second_factors.find(session, principal.user) is None:
        raise Conflict(
            "Set up a second factor of your own first: without, you would have no role here any more.",
            code="second-factor-of-your-own-first",
        )


async def remove(session: AsyncSession, edit: Edit, organization: str) -> None:
    """Remove an organization with its members and keys.

    Raises:
        Conflict: it has stores.
    """
    row = await readable_organization(session, edit.principal, organization)
    require_superadmin(edit.principal)
    edit.check(OrganizationOut.of(row))
    if await repository.has_stores(session, row):
        raise Conflict(
            "The organization {organization} has stores: remove those first.",
            code="organization-has-stores",
            organization=row.id,
        )
    await repository.delete_organization(session, row)
