"""Keys of machines: an API key `mk_…` acts by its role, an edge key `mw_…` sends crossings to one store."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role
from services.api.auth.tokens import repository
from services.api.auth.tokens.digest import digest
from services.api.auth.tokens.repository import WORKER
from services.api.database import Sessions
from services.api.http.problems import Unauthorized
from services.api.transaction import committing
from services.kit.database.account_tables import ApiKey

_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key: `text` is returned once and not stored."""

    text: str
    prefix: str
    hash: str


@dataclass(frozen=True, slots=True)
class EdgeWorker:
    """An edge worker, identified by its key."""

    key: UUID
    store: str


def draw_key(role: str) -> NewKey:
    """A new random key for a role."""
    prefix = f"{'mw' if role == WORKER else 'mk'}_{secrets.token_hex(6)}"
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(text, prefix, digest(text))


def is_key(text: str) -> bool:
    """Tell whether a bearer token is a key, rather than a JWT."""
    return text.startswith(("mk_", "mw_"))


async def principal_of_key(sessions: Sessions, text: str, now: datetime) -> Principal:
    """The principal of an API key.

    Raises:
        Unauthorized: there is no such key, it was revoked, or it is an edge key.
    """
    key = await _use(sessions, text, now)
    if key.role == WORKER:
        raise Unauthorized(
            "This is a worker's key: it goes into X-EdgeWorker-Key, and sends crossings.",
            code="edge-key-in-wrong-header",
        )
    return _principal(key)


async def principal_of_known_key(session: AsyncSession, key: UUID) -> Principal | None:
    """The principal of a key that was verified before; None if it was revoked since."""
    row = await repository.find_key(session, key)
    return None if row is None else _principal(row)


async def worker_of_key(sessions: Sessions, text: str, now: datetime) -> EdgeWorker:
    """The worker of an edge key.

    Raises:
        Unauthorized: there is no such key, it was revoked, or it is no edge key.
    """
    key = await _use(sessions, text, now)
    if key.role != WORKER or key.store is None:
        raise Unauthorized(
            "This is no worker's key: make one of the role worker for the store.", code="not-an-edge-key"
        )
    return EdgeWorker(key.id, key.store)


async def _use(sessions: Sessions, text: str, now: datetime) -> ApiKey:
    prefix = "_".join(text.split("_", 2)[:2])  # the rest may contain more underscores
    async with sessions() as session:
        key = await repository.find_key_by_prefix(session, prefix)
    if key is None or not hmac.compare_digest(key.hash, digest(text)) or key.revoked_at is not None:
        raise Unauthorized("There is no such key, or it was revoked.", code="no-such-key-or-revoked")
    if key.last_used_at is None or now - key.last_used_at >= _NOTED_EVERY:
        async with committing(sessions) as session:
            await repository.note_key_use(session, key.id, now, _NOTED_EVERY)
    return key


def _principal(key: ApiKey) -> Principal:
    roles = {key.organization: Role(key.role)}
    return Principal(f"key {key.name} ({key.prefix})", roles=roles, store=key.store, key=key.id)
