"""The tables of who may do what: users, memberships, keys of machines, sign-ins, and the log of what was changed.

The api alone writes them. No password and no token is in here: of what was chosen by people there is an argon2 hash, of
what was drawn at random a SHA-256.
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
    """argon2id; None of who signs in elsewhere."""
    subject: str | None = Field(default=None, unique=True)
    """What another issuer of tokens calls this person."""
    superadmin: bool = False
    disabled: bool = False
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    verified_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """When this person showed that the address is theirs, by a link that was sent to it. None of an account that
    somebody else made, in a release when one could choose another person's password."""


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


class Invitation(SQLModel, table=True):
    """An address that was asked to join an organization. It is pending until it is accepted, revoked or expired."""

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
    """How the mail greets this person."""
    role: str
    hash: str = Field(unique=True)
    """SHA-256 of the token in the link, hexadecimal."""
    invited_by: str
    inviter: UUID | None = None
    """The account or key that invited. Once it is no admin any more, nobody can accept. None: the command line."""
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
    """A mail that is on its way: it stays until the mail server has taken it, or it is of no use any more."""

    __tablename__ = "outgoing_mail"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    about: UUID | None = Field(default=None, index=True)
    """The invitation or reset whose link is in it: revoked, its mail is not sent any more."""
    recipient: str
    sealed: str | None = None
    """The text, sealed by `services.kit.vault`: a link in it is a secret. None of a reset that was asked for, until
    what sends has looked for the account: the answer to the request does not wait for that."""
    attempts: int = 0
    next_at: datetime = Field(sa_type=DateTime(timezone=True), index=True)
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))


class Allowance(SQLModel, table=True):
    """How often something was done of late, by whoever or about whatever the key names."""

    key: str = Field(primary_key=True)
    count: int
    since: datetime = Field(sa_type=DateTime(timezone=True))


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
