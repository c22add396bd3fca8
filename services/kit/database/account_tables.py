"""Tables of access rights: users, memberships, API keys, refresh tokens, invitations, and the audit log.

Only the api writes them. They hold no password and no token: of passwords the argon2 hash, of random tokens the
SHA-256.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, DateTime, Identity, Index, text
from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    """A person."""

    __tablename__ = "account"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True)
    """In lower case."""
    name: str = ""
    password_hash: str | None = None
    """argon2id; None for a person with sign-in at another issuer."""
    subject: str | None = Field(default=None, unique=True)
    """The person's `sub` in tokens of another issuer."""
    superadmin: bool = False
    disabled: bool = False
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    verified_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Time at which this person proved that the address is theirs, by a link that was sent to it. None for accounts of
    releases in which an admin could choose another person's password."""


class Membership(SQLModel, table=True):
    """The role of a user in an organization: viewer, manager or admin."""

    user: UUID = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE")
    organization: str = Field(primary_key=True, foreign_key="organization.id", ondelete="CASCADE", index=True)
    role: str


class ApiKey(SQLModel, table=True):
    """A machine's key to an organization, or to one store of it. With the role `worker` it is an edge key."""

    __tablename__ = "api_key"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organization: str = Field(foreign_key="organization.id", ondelete="CASCADE", index=True)
    store: str | None = Field(default=None, foreign_key="store.id", ondelete="CASCADE", index=True)
    name: str
    role: str
    prefix: str = Field(unique=True)
    """The key's first part, by which its row is found and people recognise it."""
    hash: str
    """SHA-256 of the whole key, hexadecimal."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    made_by: UUID | None = Field(default=None, foreign_key="account.id", ondelete="SET NULL", index=True)
    """The person who made it, directly or through other keys: when they lose the right to make keys, it is void. An
    edge key stays."""
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """To about a minute."""


class RefreshToken(SQLModel, table=True):
    """A token that renews a sign-in, once. The tokens of one sign-in are a family; without any, the sign-in is over."""

    __tablename__ = "refresh_token"

    hash: str = Field(primary_key=True)
    family: UUID = Field(foreign_key="sign_in.id", ondelete="CASCADE", index=True)
    user: UUID = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    issued_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    successor: str | None = None
    """Of a used one, the token that replaced it, sealed: a second use at once gives that same token again."""


class Invitation(SQLModel, table=True):
    """An invitation of an address to an organization. It is pending until it is accepted, revoked or expired."""

    __table_args__ = (
        Index(
            "ix_invitation_pending",
            "organization",
            "email",
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    organization: str = Field(foreign_key="organization.id", ondelete="CASCADE", index=True)
    email: str
    """In lower case."""
    name: str
    """The person's name, for the mail."""
    role: str
    hash: str = Field(unique=True)
    """SHA-256 of the token in the link, hexadecimal."""
    invited_by: str
    inviter: UUID | None = None
    """The account or key that invited; when it is no admin any more, the invitation is void. None: the command line."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    accepted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Revoked, or replaced by a newer one."""


class PasswordReset(SQLModel, table=True):
    """A link by which a person chooses a new password, once."""

    __tablename__ = "password_reset"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user: UUID = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    hash: str = Field(unique=True)
    """SHA-256 of the token in the link, hexadecimal."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Used, or replaced by a newer one."""


class OutgoingMail(SQLModel, table=True):
    """A mail to be sent: its row stays until the mail server has accepted it, or it is revoked or expired."""

    __tablename__ = "outgoing_mail"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    about: UUID | None = Field(default=None, index=True)
    """The invitation or reset of the link in it: when that is revoked, the mail is no longer sent."""
    recipient: str
    sealed: str | None = None
    """The text, sealed by `services.kit.vault`, as its link is a secret. None for a requested reset until the sender
    has looked the account up: the answer to the request must not wait for that."""
    attempts: int = 0
    next_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))


class Allowance(SQLModel, table=True):
    """Count of recent actions, by the actor or subject that the key names: a rate limit."""

    key: str = Field(primary_key=True)
    count: int
    since: datetime = Field(sa_type=DateTime(timezone=True))


class SignInAttempts(SQLModel, table=True):
    """Count of recent tries to sign in, by client address or account."""

    __tablename__ = "sign_in_attempts"

    key: str = Field(primary_key=True)
    count: int
    since: datetime = Field(sa_type=DateTime(timezone=True))


class SigningKey(SQLModel, table=True):
    """A key pair by which the API signs its tokens; replicas share it."""

    __tablename__ = "signing_key"

    kid: str = Field(primary_key=True)
    sealed: str
    """The private key, sealed by `services.kit.vault`."""
    public: dict[str, object] = Field(sa_type=JSON)
    """The public key as a JWK."""
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class RememberedAnswer(SQLModel, table=True):
    """The answer to a POST with an `Idempotency-Key`: a repeated request gets it again, and is not executed twice."""

    __tablename__ = "remembered_answer"

    who: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    """Keyed digest of the request (`services.kit.vault`), as that may hold passwords."""
    status: int
    sealed: str
    """The answer's body, sealed, as it may hold a new key."""
    at: datetime = Field(sa_type=DateTime(timezone=True), index=True)


class AuditEntry(SQLModel, table=True):
    """A change of the configuration. The api may add entries, but neither change nor remove them."""

    __tablename__ = "audit_entry"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),))
    at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    who: str
    organization: str | None = Field(default=None, index=True)
    action: str
    """created, changed or removed."""
    kind: str
    """Kind of the changed thing: camera, line, store …"""
    key: str
    """Its id."""
    before: dict[str, object] | None = Field(default=None, sa_type=JSON)
    after: dict[str, object] | None = Field(default=None, sa_type=JSON)
