"""Present rights of a user, and rights that are withheld until a second factor is set up.

An organization can require a second factor, and METRICA_ADMIN_SECOND_FACTOR requires it of superadmins. Without one, a
user of the built-in accounts has no role there. Other issuers have their own rules for second factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role
from services.api.auth import repository
from services.api.auth.second_factor import repository as second_factors
from services.api.http.problems import Forbidden, Unauthorized
from services.api.settings import ApiSettings
from services.kit.database.account_tables import User


@dataclass(frozen=True, slots=True)
class Rights:
    """A user's rights.

    Attributes:
        waiting: organizations whose role is withheld for lack of a second factor.
        superadmin_waits: the rights of a superadmin are withheld for lack of one.
    """

    roles: Mapping[str, Role]
    superadmin: bool
    waiting: Sequence[str] = ()
    superadmin_waits: bool = False


@dataclass(frozen=True, slots=True)
class Requirements:
    """Organizations, and the setting for superadmins, that require a second factor of a user."""

    organizations: Sequence[str]
    as_superadmin: bool

    def __bool__(self) -> bool:
        return bool(self.organizations) or self.as_superadmin


async def person_of(session: AsyncSession, principal: Principal, only_people: str) -> User:
    """The account of a principal.

    Raises:
        Forbidden: the principal is not a person; with the detail `only_people`.
        Unauthorized: the account is disabled.
    """
    if principal.user is None:
        raise Forbidden(only_people, code="only-people")
    user = await repository.find_user(session, principal.user)
    if user is None:
        raise Unauthorized("This account is disabled.", code="account-disabled")
    return user


async def rights_of(session: AsyncSession, user: User, settings: ApiSettings, *, signed_in_here: bool) -> Rights:
    """A user's rights; `signed_in_here` is false for a token of another issuer."""
    roles, organizations = await repository.roles_of(session, user.id)
    requirements = Requirements(organizations, _is_required_of_superadmin(user, settings))
    if not (signed_in_here and requirements) or await second_factors.find(session, user.id) is not None:
        return Rights(roles, user.superadmin)
    granted = {organization: role for organization, role in roles.items() if organization not in organizations}
    return Rights(
        granted, user.superadmin and not requirements.as_superadmin, organizations, requirements.as_superadmin
    )


async def requirements_of(session: AsyncSession, user: User, settings: ApiSettings) -> Requirements:
    """Requirements of a second factor for a user."""
    _, organizations = await repository.roles_of(session, user.id)
    return Requirements(organizations, _is_required_of_superadmin(user, settings))


def _is_required_of_superadmin(user: User, settings: ApiSettings) -> bool:
    return user.superadmin and settings.admin_second_factor == "required"
