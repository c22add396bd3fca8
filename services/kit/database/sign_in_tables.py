"""Tables of sign-ins, trusted browsers and second factors.

Only the api writes them. Random tokens are stored as SHA-256, the secrets of second factors sealed by
`services.kit.vault`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, UniqueConstraint
from sqlmodel import Field, SQLModel


class TrustedDevice(SQLModel, table=True):
    """A browser in which an account has signed in. Its tries for that account have a counter of their own."""

    __tablename__ = "trusted_device"
    __table_args__ = (UniqueConstraint("hash", "user"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    hash: str
    """SHA-256 of its cookie. One browser may be trusted for several accounts."""
    user: UUID = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    last_used_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    """Time of the last sign-in there."""


class SignIn(SQLModel, table=True):
    """A sign-in in force. It ends when its row is deleted, with its refresh tokens."""

    __tablename__ = "sign_in"

    id: UUID = Field(primary_key=True)
    user: UUID = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    began_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_used_at: datetime = Field(sa_type=DateTime(timezone=True))
    """To about a minute."""
    ends_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    """At the latest, however often it is refreshed."""
    browser: bool
    """True where its tokens are in a browser's cookies; False for a program."""
    agent: str
    """The `User-Agent` of the browser or program."""
    address: str
    """The client's address when it began."""
    device: UUID | None = Field(default=None, foreign_key="trusted_device.id", ondelete="SET NULL", index=True)


class SecondFactor(SQLModel, table=True):
    """A person's authenticator app (TOTP, RFC 6238)."""

    __tablename__ = "second_factor"

    user: UUID = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE")
    sealed: str | None = None
    """The secret in force, sealed; None while it has not been confirmed by a code."""
    confirmed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_step: int | None = Field(default=None, sa_type=BigInteger)
    """The time step of the last code that was accepted: codes of that step or before are refused (RFC 6238, 5.2)."""
    pending: str | None = None
    """A new secret, sealed, until a code confirms it."""
    pending_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class RecoveryCode(SQLModel, table=True):
    """A code that replaces a lost authenticator app, once: its row is deleted when it is used."""

    __tablename__ = "recovery_code"

    user: UUID = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE")
    hash: str = Field(primary_key=True)
    """SHA-256 of the code."""
