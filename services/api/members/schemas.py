"""Members and users, as they are said and shown."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.access import Role
from services.api.http.bodies import Incoming, Label, Patch
from services.kit.database.account_tables import Membership, User


class MemberPatch(Incoming):
    """Another role."""

    role: Role


class MemberOut(BaseModel):
    """A member of an organization."""

    user: UUID
    email: str
    name: str
    role: Role

    @classmethod
    def of(cls, user: User, membership: Membership) -> MemberOut:
        """As the API shows it."""
        return cls(user=user.id, email=user.email, name=user.name, role=Role(membership.role))


class UserPatch(Patch):
    """What is to be another about a user."""

    name: Label = ""
    subject: str | None = Field(
        default=None, min_length=1, max_length=255, description="`sub` in the tokens of another issuer."
    )
    superadmin: bool = False
    disabled: bool = Field(default=False, description="Signed out everywhere at once, and not let in.")


class UserOut(BaseModel):
    """A user."""

    id: UUID
    email: str
    name: str
    subject: str | None
    superadmin: bool
    disabled: bool
    created_at: datetime
    verified_at: datetime | None = Field(description="When this person showed that the address is theirs.")

    @classmethod
    def of(cls, user: User) -> UserOut:
        """As the API shows it."""
        return cls(**user.model_dump(include=set(cls.model_fields)))
