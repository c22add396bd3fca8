"""Members and users, as they are said and shown."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.access import Role
from services.api.auth.schemas import Email, NewPassword
from services.api.incoming import Incoming, Label, Patch
from services.kit.account_tables import Membership, User


class MemberIn(Incoming):
    """A new member: somebody who has an account, or is given one."""

    email: Email
    name: Label = ""
    role: Role
    password: NewPassword | None = Field(
        default=None,
        description="Of a new account. Left out, one is drawn and told in the answer, this once; who has an account "
        "already keeps theirs.",
    )


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


class NewMemberOut(MemberOut):
    """A member who was just made."""

    password: str | None = Field(description="Of an account that was just made with a drawn password: shown this once.")


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

    @classmethod
    def of(cls, user: User) -> UserOut:
        """As the API shows it."""
        return cls(**user.model_dump(include=set(cls.model_fields)))
