"""Schemas of API keys and edge keys."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.identity import Token
from services.api.auth.tokens.repository import WORKER
from services.api.http.bodies import Incoming, Name, RowOut

KeyRole = Literal["viewer", "manager", "admin", "worker"]


class KeyIn(Incoming):
    """A new key."""

    name: Name
    role: KeyRole = Field(
        description="`worker`: an edge key, which only sends crossings of its store, as X-Worker-Key."
    )
    store: Token | None = Field(default=None, description="Restricts the key to one store. Required for `worker`.")

    @model_validator(mode="after")
    def _worker_has_a_store(self) -> Self:
        if self.role == WORKER and self.store is None:
            raise ValueError("a worker's key is of one store: say which")
        if self.role == "admin" and self.store is not None:
            raise ValueError("an admin's key is of the whole organization: leave the store out")
        return self


class KeyOut(RowOut):
    """A key without its secret."""

    id: UUID
    name: str
    role: KeyRole
    store: str | None
    prefix: str = Field(description="Start of the key, which identifies it.")
    created_at: datetime
    made_by: UUID | None = Field(
        description="The user who made it, directly or with another key. It is revoked when that user may no longer "
        "make keys, unless it is a worker's. Null for keys older than this field."
    )
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Accurate to about a minute.")


class NewKeyOut(KeyOut):
    """A key that was just made."""

    key: str = Field(description="The key itself: returned once and not stored.")
