"""What is said to sign in, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from services.api.access import Role
from services.api.auth.passwords import LONGEST, SHORTEST
from services.api.incoming import Incoming
from services.api.texts import without_hidden

Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$", examples=["mara@shop.example"]),
    AfterValidator(without_hidden),
    AfterValidator(str.lower),
]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST)]


class SignInIn(Incoming):
    """Who wants in, and how the answer is kept."""

    email: Email
    password: Annotated[SecretStr, Field(max_length=LONGEST)]
    keep: Literal["cookie", "token"] = Field(
        default="cookie",
        description="`cookie`: a browser gets cookies that no script reads. `token`: a program gets the tokens.",
    )


class RefreshIn(Incoming):
    """A refresh token of who holds no cookies."""

    refresh_token: Annotated[str, Field(max_length=200)]


class TokensOut(BaseModel):
    """A program's tokens. The refresh token is used up when it is used."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds for which the access token is good.")


class PasswordIn(Incoming):
    """A new password."""

    present: Annotated[SecretStr, Field(max_length=LONGEST)]
    new: NewPassword


class MeOut(BaseModel):
    """Who asks, as the API sees it."""

    name: str
    user: UUID | None = Field(description="Of a person.")
    superadmin: bool
    roles: dict[str, Role] = Field(description="By organization.")
    everywhere: Role | None = Field(description="The role in organizations that are not named.")
    store: str | None = Field(description="The only store that a key reaches.")


class KeySetOut(BaseModel):
    """JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, object]]
