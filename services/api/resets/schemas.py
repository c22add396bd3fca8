"""Password resets, as they are said and shown."""

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
    """The same for every address."""

    detail: str = "If there is an account with this address, a mail with a link is on its way."


class ResetLook(BaseModel):
    """What a link is about, for the person who holds it."""

    email: str
    expires_at: datetime


class UseIn(Incoming):
    """A new password."""

    token: Token
    password: ChosenPassword


class StrengthIn(Incoming):
    """A password that somebody thinks about, who holds a link."""

    token: Token
    password: ChosenPassword


class StrengthOut(BaseModel):
    """How easily it is guessed."""

    score: int = Field(ge=0, le=4, description="4 is the best.")
    enough: bool = Field(description="Whether it may be chosen.")
    says: str = Field(description="What makes it weak, and what to do; empty where it may be chosen.")
