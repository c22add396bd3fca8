"""Schemas of invitations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr

from services.api.access.principal import Role
from services.api.auth.passwords.hashing import LONGEST
from services.api.auth.tokens.one_time_links import Token
from services.api.http.bodies import Incoming, Label
from services.api.mail.addresses import MailAddress
from services.kit.database.account_tables import Invitation

ChosenPassword = Annotated[SecretStr, Field(max_length=LONGEST)]
"""The minimum length is checked later, together with the strength."""


class InvitationIn(Incoming):
    """An invitation to send."""

    email: MailAddress
    name: Label = Field(default="", description="Name in the mail's greeting.")
    role: Role


class State(StrEnum):
    """State of an invitation that is neither accepted nor revoked."""

    PENDING = "pending"
    EXPIRED = "expired"


class InvitationOut(BaseModel):
    """An invitation. Its link is not returned: only the invited person receives it."""

    id: UUID
    email: str
    name: str
    role: Role
    state: State
    invited_by: str
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: Invitation, now: datetime) -> InvitationOut:
        """The schema of a row."""
        state = State.PENDING if row.expires_at > now else State.EXPIRED
        return cls(state=state, **row.model_dump(include=set(cls.model_fields) - {"state"}))


class NewInvitationOut(InvitationOut):
    """An invitation that was just made."""

    delivery: Literal["mail", "operator"] = Field(
        description="`mail`: the link is sent to the address. `operator`: no mail server is configured; the operator "
        "prints the link with `metrica user invite`."
    )


class LinkIn(Incoming):
    """A one-time link."""

    token: Token


class Needs(StrEnum):
    """Step that is needed to accept an invitation."""

    PASSWORD = "password"
    """Choose a password: the account is new, or its owner is not verified."""
    SIGN_IN = "sign_in"
    """Sign in as the invited account."""
    NOTHING = "nothing"
    """Nothing: the invited account is signed in."""


class InvitationLook(BaseModel):
    """An invitation as the invited person sees it."""

    organization: str = Field(description="The organization's name.")
    email: str
    name: str
    role: Role
    invited_by: str
    expires_at: datetime
    needs: Needs


class AcceptIn(Incoming):
    """Acceptance of an invitation."""

    token: Token
    name: Label | None = Field(default=None, description="Display name of the new account.")
    password: ChosenPassword | None = Field(default=None, description="Required if `needs` is `password`.")


class AcceptedOut(BaseModel):
    """The new membership."""

    email: str
    organization: str = Field(description="The organization's id.")
    role: Role
