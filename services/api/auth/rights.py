"""What a user may do at this moment, and what waits for their second factor.

An organization may ask for one, and METRICA_ADMIN_SECOND_FACTOR asks superadmins for one. Somebody who signed in here
without has no role there until they have set one up. Another issuer has its own rules for the people it sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Role
from services.api.auth import repository
from services.api.auth.second_factor import factors
from services.api.settings import ApiSettings
from services.kit.database.account_tables import User


@dataclass(frozen=True, slots=True)
class Rights:
    """A user's rights.

    Attributes:
        roles: by organization.
        superadmin: may do everything.
        waiting: the organizations in which they could do more with a second factor.
        superadmin_waits: they would be a superadmin with one.
    """

    roles: Mapping[str, Role]
    superadmin: bool
    waiting: Sequence[str] = ()
    superadmin_waits: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What asks a user for a second factor, whether they have one or not."""

    organizations: Sequence[str]
    as_superadmin: bool

    def __bool__(self) -> bool:
        return bool(self.organizations) or self.as_superadmin


async def rights_of(session: AsyncSession, user: User, settings: ApiSettings, *, signed_in_here: bool) -> Rights:
    """A user's rights; `signed_in_here` is false of who comes with the token of another issuer."""
    roles, organizations = await repository.roles_of(session, user.id)
    asked = Asked(organizations, _superadmins_asked(user, settings))
    if not (signed_in_here and asked) or await factors.find(session, user.id) is not None:
        return Rights(roles, user.superadmin)
    left = {organization: role for organization, role in roles.items() if organization not in organizations}
    return Rights(left, user.superadmin and not asked.as_superadmin, organizations, asked.as_superadmin)


async def asked_of(session: AsyncSession, user: User, settings: ApiSettings) -> Asked:
    """What asks a user for a second factor."""
    _, organizations = await repository.roles_of(session, user.id)
    return Asked(organizations, _superadmins_asked(user, settings))


def _superadmins_asked(user: User, settings: ApiSettings) -> bool:
    return user.superadmin and settings.admin_second_factor == "required"
