"""The tables of who may do what: users, memberships, keys of machines, sign-ins, and the log of what was changed.

The api alone writes them. No password and no token is in here: of what was chosen by people there is an argon2 hash, of
what was drawn at random a SHA-256.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, DateTime, Identity
from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    """A person."""

    __tablename__ = "account"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True)
    """In lower case."""
    name: str = ""
    password_hash: str | None = None
    """argon2id; None of who signs in elsewhere."""
    subject: str | None = Field(default=None, unique=True)
    """What another issuer of tokens calls this person."""
    superadmin: bool = False
    disabled: bool = False
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class Membership(SQLModel, table=True):
    """What a user may do in an organization: viewer, manager or admin."""

    user: UUID = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE")
    organization: str = Field(primary_key=True, foreign_key="organization.id", ondelete="CASCADE", index=True)
    role: str


class ApiKey(SQLModel, table=True):
    """A machine's key to an organization, or to one store of it. Of the role `worker`, it only sends crossings."""

    __tablename__ = "api_key"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organization: str = Field(foreign_key="organization.id", ondelete="CASCADE", index=True)
    store: str | None = Field(default=None, foreign_key="store.id", ondelete="CASCADE", index=True)
    name: str
    role: str
    prefix: str = Field(unique=True)
    """The key's first part: what it is found and recognised by."""
    hash: str
    """SHA-256 of the whole key, hexadecimal."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    made_by: UUID | None = Field(default=None, foreign_key="account.id", ondelete="SET NULL", index=True)
    """The person behind it, through whichever keys: with their right to make keys, it ends. A worker's key stays."""
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """To about a minute."""


class RefreshToken(SQLModel, table=True):
    """What a sign-in is renewed by, once. The tokens of one sign-in are a family: without one, it is signed out."""

    __tablename__ = "refresh_token"

    hash: str = Field(primary_key=True)
    family: UUID = Field(foreign_key="sign_in.id", ondelete="CASCADE", index=True)
    user: UUID = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    issued_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    successor: str | None = None
    """Of a used one, the token that took its place, sealed: used again at once, it gives that one again."""


class SignInAttempts(SQLModel, table=True):
    """How often somebody tried to sign in of late: from an address, or as an account."""

    __tablename__ = "sign_in_attempts"

    key: str = Field(primary_key=True)
    count: int
    since: datetime = Field(sa_type=DateTime(timezone=True))


class SigningKey(SQLModel, table=True):
    """What the API signs its tokens with; replicas share it."""

    __tablename__ = "signing_key"

    kid: str = Field(primary_key=True)
    sealed: str
    """The private key, sealed by `services.kit.vault`."""
    public: dict[str, object] = Field(sa_type=JSON)
    """The public key as a JWK."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class RememberedAnswer(SQLModel, table=True):
    """What a POST with an `Idempotency-Key` was answered: who sends it again gets that, and nothing happens twice."""

    __tablename__ = "remembered_answer"

    who: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    """The mark of what was asked (`services.kit.vault`): it may hold passwords."""
    status: int
    sealed: str
    """The answer's body, sealed: it may hold a new key."""
    at: datetime = Field(sa_type=DateTime(timezone=True), index=True)


class AuditEntry(SQLModel, table=True):
    """A change of the configuration. The api may add entries, and neither change nor remove them."""

    __tablename__ = "audit_entry"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),))
    at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    who: str
    organization: str | None = Field(default=None, index=True)
    action: str
    """created, changed or removed."""
    kind: str
    """What of: camera, line, store …"""
    key: str
    """Which one."""
    before: dict[str, object] | None = Field(default=None, sa_type=JSON)
    after: dict[str, object] | None = Field(default=None, sa_type=JSON)
