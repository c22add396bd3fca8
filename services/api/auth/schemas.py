"""What is said to sign in, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from services.api.access import Role
from services.api.auth.passwords.hashing import LONGEST, SHORTEST
from services.api.http.bodies import Incoming
from services.api.http.texts import without_hidden
from services.kit.database.sign_in_tables import SignIn

Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$", examples=["mara@shop.example"]),
    AfterValidator(without_hidden),
    AfterValidator(str.lower),
]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST)]


Code = Annotated[str, Field(min_length=1, max_length=64, examples=["492039"])]


class SignInIn(Incoming):
    """Who wants in, and how the answer is kept."""

    email: Email
    password: Annotated[SecretStr, Field(max_length=LONGEST)]
    code: Code | None = Field(
        default=None,
        description="Of who has a second factor: six digits of the authenticator app, or a recovery code. Where it is "
        "missing, the answer is 401 with `code: second_factor_needed`.",
    )
    keep: Literal["cookie", "token"] = Field(
        default="cookie",
        description="`cookie`: a browser gets cookies that no script reads. `token`: a program gets the tokens.",
    )
    refresh_token: Annotated[
        str | None, Field(max_length=200, description="Of a program that is signed in yet: its tries count apart.")
    ] = None


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
    second_factor: bool = Field(description="Whether you have one.")
    second_factor_needed_in: list[str] = Field(
        description="Organizations of yours that ask for a second factor: until you have one, you have no role there."
    )
    second_factor_needed_as_superadmin: bool = Field(description="The same of a superadmin.")
    everywhere: Role | None = Field(description="The role in organizations that are not named.")
    store: str | None = Field(description="The only store that a key reaches.")


class SignInOut(BaseModel):
    """A sign-in of yours that lasts."""

    id: UUID
    began_at: datetime
    last_used_at: datetime = Field(description="To about a minute.")
    ends_at: datetime = Field(description="At the latest, however often it is used.")
    agent: str = Field(description="What the browser or program calls itself.")
    address: str = Field(description="From where it began.")
    browser: bool = Field(description="False of a program, which holds its tokens itself.")
    current: bool = Field(description="The one that you ask with.")

    @classmethod
    def of(cls, sign_in: SignIn, current: UUID | None) -> SignInOut:
        """As the API shows it."""
        return cls(**sign_in.model_dump(include=set(cls.model_fields)), current=sign_in.id == current)


class SecondFactorOut(BaseModel):
    """Your second factor."""

    on: bool
    since: datetime | None
    recovery_codes_left: int
    asked_for_in: list[str] = Field(description="Organizations of yours that ask for one.")
    asked_for_as_superadmin: bool


class BeginIn(Incoming):
    """That it is really you. Within ten minutes of signing in, the password may be left out."""

    password: Annotated[SecretStr | None, Field(max_length=LONGEST)] = None
    code: Code | None = Field(default=None, description="Of the present second factor, where there is one.")


class BegunOut(BaseModel):
    """A new secret. It is in force once a code of it is confirmed, within a quarter of an hour."""

    secret: str = Field(description="To be typed into an authenticator app that cannot read the picture.")
    uri: str = Field(description="What the picture says.")
    qr: str = Field(description="The picture, as a `data:` address of an SVG.")


class CodeIn(Incoming):
    """A code of the app."""

    code: Code


class ProofIn(Incoming):
    """That it is really you."""

    password: Annotated[SecretStr, Field(max_length=LONGEST)]
    code: Code


class RecoveryCodesOut(BaseModel):
    """Each stands in for a lost app, once. They are shown this once."""

    recovery_codes: list[str]


class KeySetOut(BaseModel):
    """JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, object]]
