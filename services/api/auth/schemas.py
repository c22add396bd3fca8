"""Schemas of signing in and of second factors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from services.api.access.principal import Role
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
    """Credentials, and the way that tokens are returned."""

    email: Email
    password: Annotated[SecretStr, Field(max_length=LONGEST)]
    code: Code | None = Field(
        default=None,
        description="Second factor: six digits of the authenticator app, or a recovery code. If it is needed and "
        "missing, the response is 401 with `code: second_factor_needed`.",
    )
    keep: Literal["cookie", "token"] = Field(
        default="cookie",
        description="`cookie`: for browsers, tokens in HttpOnly cookies. `token`: for programs, tokens in the body.",
    )
    refresh_token: Annotated[
        str | None,
        Field(max_length=200, description="Of a program that is still signed in: its attempts are counted separately."),
    ] = None


class RefreshIn(Incoming):
    """A refresh token, from a program without cookies."""

    refresh_token: Annotated[str, Field(max_length=200)]


class TokensOut(BaseModel):
    """Tokens of a program. The refresh token is valid once."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds until the access token expires.")


class PasswordIn(Incoming):
    """The present and the new password."""

    present: Annotated[SecretStr, Field(max_length=LONGEST)]
    new: NewPassword


class MeOut(BaseModel):
    """The principal of a request."""

    name: str
    user: UUID | None = Field(description="Id of the user; null for keys.")
    superadmin: bool
    roles: dict[str, Role] = Field(description="Roles by organization.")
    second_factor: bool = Field(description="Whether a second factor is in force.")
    second_factor_needed_in: list[str] = Field(
        description="Organizations that require a second factor: without one, you have no role there."
    )
    second_factor_needed_as_superadmin: bool = Field(
        description="Whether superadmins require a second factor, and you have none."
    )
    everywhere: Role | None = Field(description="Role in organizations that are not in `roles`.")
    store: str | None = Field(description="The only store that a key can access.")


class SignInOut(BaseModel):
    """A current sign-in."""

    id: UUID
    began_at: datetime
    last_used_at: datetime = Field(description="Accurate to about a minute.")
    ends_at: datetime = Field(description="Latest end, however often it is used.")
    agent: str = Field(description="User agent of the browser or program.")
    address: str = Field(description="Client address at its start.")
    browser: bool = Field(description="False for a program, which keeps its tokens itself.")
    current: bool = Field(description="Whether it is the sign-in of this request.")

    @classmethod
    def of(cls, sign_in: SignIn, current: UUID | None) -> SignInOut:
        """The schema of a row."""
        return cls(**sign_in.model_dump(include=set(cls.model_fields)), current=sign_in.id == current)


class SecondFactorOut(BaseModel):
    """Your second factor."""

    on: bool
    since: datetime | None
    recovery_codes_left: int
    asked_for_in: list[str] = Field(description="Organizations of yours that require one.")
    asked_for_as_superadmin: bool


class BeginIn(Incoming):
    """Proof of identity. Within ten minutes of signing in, the password may be omitted."""

    password: Annotated[SecretStr | None, Field(max_length=LONGEST)] = None
    code: Code | None = Field(default=None, description="A code of the present second factor, if there is one.")


class BegunOut(BaseModel):
    """A new secret. It comes into force when a code of it is confirmed within 15 minutes."""

    secret: str = Field(description="Secret to type into an authenticator app that cannot scan the QR code.")
    uri: str = Field(description="Content of the QR code (otpauth://).")
    qr: str = Field(description="QR code, as a `data:` URI of an SVG.")


class CodeIn(Incoming):
    """A code of the authenticator app."""

    code: Code


class ProofIn(Incoming):
    """Proof of identity."""

    password: Annotated[SecretStr, Field(max_length=LONGEST)]
    code: Code


class RecoveryCodesOut(BaseModel):
    """Recovery codes: each replaces the authenticator app once. They are returned only this once."""

    recovery_codes: list[str]


class KeySetOut(BaseModel):
    """JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, object]]
