"""Principals, their roles, and checks of roles. A principal that may see an object and not change it gets 403."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.api.http.problems import Forbidden, Unauthorized


class Role(StrEnum):
    """A principal's role in an organization; each includes the rights of the one before."""

    VIEWER = "viewer"
    """Reads stores, counts and frames."""
    MANAGER = "manager"
    """Changes cameras, lines and stores."""
    ADMIN = "admin"
    """Manages members, keys and stores."""

    def allows(self, needed: Role) -> bool:
        """Tell whether it is the needed role or a higher one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller that a request is made for: a user, a key, or local access.

    Attributes:
        name: as in the audit log.
        everywhere: the role in organizations that `roles` does not name.
        store: the only store within reach, for a key that is bound to one.
        superadmin: has all rights in all organizations, and creates them.
        sign_in: id of the sign-in, for a user of the built-in accounts.
        until: expiry of another issuer's token, which cannot be revoked.
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
        """The role in an organization; None where the organization is hidden from the principal."""
        return Role.ADMIN if self.superadmin else self.roles.get(organization, self.everywhere)


LOCAL = Principal("somebody at this machine", everywhere=Role.VIEWER)
"""Browsers on this machine, where METRICA_LOCAL_ACCESS allows reading without a sign-in."""

SERVICE = Principal("api", everywhere=Role.VIEWER)
"""The API itself, when it reads data that it broadcasts to authorized listeners."""


def require(principal: Principal, organization: str, role: Role) -> None:
    """Require a role in an organization; else Forbidden, or Unauthorized for local access, which only reads."""
    held = principal.role_in(organization)
    if held is not None and held.allows(role):
        return
    if principal is LOCAL:
        raise Unauthorized("Sign in: without, this machine only looks.", code="sign-in-to-change")
    raise Forbidden(
        "This takes the role {role} in the organization {organization}; {name} is {held}.",
        code="role-needed",
        role=role,
        organization=organization,
        name=principal.name,
        held=held,
    )


def require_superadmin(principal: Principal) -> None:
    """Require a superadmin; else Forbidden, or Unauthorized for local access, which only reads."""
    if principal.superadmin:
        return
    if principal is LOCAL:
        raise Unauthorized("Sign in: without, this machine only looks.", code="sign-in-to-change")
    raise Forbidden("This takes a superadmin, and {name} is none.", code="superadmin-needed", name=principal.name)


async def superadmins_only(principal: Principal) -> None:
    """Require a superadmin, as a coroutine function."""
    require_superadmin(principal)
