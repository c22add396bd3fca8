"""Schemas of members and users."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.access.principal import Role
from services.api.http.bodies import Incoming, Label, Patch, RowOut
from services.kit.database.account_tables import Membership, User


class MemberPatch(Incoming):
    """A new role for a member."""

    role: Role


class MemberOut(BaseModel):
    """A member of an organization."""

    user: UUID
    email: str
    name: str
    role: Role

    @classmethod
    def of(cls, user: User, membership: Membership) -> MemberOut:
        """The schema of a row."""
        return cls(user=user.id, email=user.email, name=user.name, role=Role(membership.role))


class UserPatch(Patch):
    """Fields of a user to update; omitted fields are unchanged."""

    name: Label = ""
    subject: str | None = Field(
        default=None, min_length=1, max_length=255, description="`sub` in the tokens of another issuer."
    )
    superadmin: bool = False
    disabled: bool = Field(default=False, description="A disabled user is signed out everywhere and cannot sign in.")


class UserOut(RowOut):
    """A user."""

    id: UUID
    email: str
    name: str
    subject: str | None
    superadmin: bool
    disabled: bool
    created_at: datetime
    verified_at: datetime | None = Field(description="Time at which the person proved to own the address.")
