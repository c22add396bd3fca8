"""Schemas of password resets."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from services.api.auth.schemas import Email
from services.api.auth.tokens.one_time_links import Token
from services.api.http.bodies import Incoming
from services.api.invitations.schemas import ChosenPassword


class ResetIn(Incoming):
    """An account whose password was forgotten."""

    email: Email


class ResetAskedOut(BaseModel):
    """Response to a request for a reset: the same for every address."""

    detail: str = "If there is an account with this address, a mail with a link is on its way."


class ResetLook(BaseModel):
    """The account of a link, for its holder."""

    email: str
    expires_at: datetime


class UseIn(Incoming):
    """The new password, with the link's token."""

    token: Token
    password: ChosenPassword


class StrengthIn(Incoming):
    """A password to estimate, for the holder of a link."""

    token: Token
    password: ChosenPassword


class StrengthOut(BaseModel):
    """Strength of a password."""

    score: int = Field(ge=0, le=4, description="4 is the strongest.")
    enough: bool = Field(description="Whether the password is accepted.")
    says: str = Field(description="The weakness, and what to do; empty if the password is accepted.")
