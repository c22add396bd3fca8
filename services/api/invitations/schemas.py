"""Invitations, as they are said and shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr

from services.api.access import Role
from services.api.auth.passwords.hashing import LONGEST
from services.api.auth.tokens.one_time_links import Token
from services.api.http.bodies import Incoming, Label
from services.api.mail.addresses import MailAddress
from services.kit.database.account_tables import Invitation

ChosenPassword = Annotated[SecretStr, Field(max_length=LONGEST)]
"""How long it must be at least is said together with how good it must be."""


class InvitationIn(Incoming):
    """Somebody who is asked to join."""

    email: MailAddress
    name: Label = Field(default="", description="How the mail greets this person.")
    role: Role


class State(StrEnum):
    """What became of an invitation that is neither accepted nor revoked."""

    PENDING = "pending"
    EXPIRED = "expired"


class InvitationOut(BaseModel):
    """An invitation. Its link is told to the invited person alone."""

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
        """As the API shows it."""
        state = State.PENDING if row.expires_at > now else State.EXPIRED
        return cls(state=state, **row.model_dump(include=set(cls.model_fields) - {"state"}))


class NewInvitationOut(InvitationOut):
    """An invitation that was just made."""

    delivery: Literal["mail", "operator"] = Field(
        description="`mail`: the link goes to the address. `operator`: this Metrica sends no mail; who runs it prints "
        "the link with `metrica user invite`."
    )


class LinkIn(Incoming):
    """A link that somebody followed."""

    token: Token


class Needs(StrEnum):
    """What it takes to accept an invitation."""

    PASSWORD = "password"
    """Choose a password: the account is new, or nobody has proven yet whose it is."""
    SIGN_IN = "sign_in"
    """Sign in as the invited account."""
    NOTHING = "nothing"
    """Nothing more: the invited account is the one that is signed in."""


class InvitationLook(BaseModel):
    """What an invitation is about, for the person who was invited."""

    organization: str = Field(description="Its name.")
    email: str
    name: str
    role: Role
    invited_by: str
    expires_at: datetime
    needs: Needs


class AcceptIn(Incoming):
    """An invitation is accepted."""

    token: Token
    name: Label | None = Field(default=None, description="What others call this person.")
    password: ChosenPassword | None = Field(default=None, description="Where one has to be chosen.")


class AcceptedOut(BaseModel):
    """What a person is a member of now."""

    email: str
    organization: str = Field(description="Its id.")
    role: Role
