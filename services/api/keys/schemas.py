"""Keys, as they are said and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from contracts.identity import Token
from services.api.auth.tokens.api_keys import WORKER
from services.api.http.bodies import Incoming, Name
from services.kit.database.account_tables import ApiKey

KeyRole = Literal["viewer", "manager", "admin", "worker"]


class KeyIn(Incoming):
    """A new key."""

    name: Name
    role: KeyRole = Field(description="`worker` only sends crossings of its store, by X-Worker-Key.")
    store: Token | None = Field(default=None, description="The only store that it reaches. A worker's must have one.")

    @model_validator(mode="after")
    def _worker_has_a_store(self) -> Self:
        if self.role == WORKER and self.store is None:
            raise ValueError("a worker's key is of one store: say which")
        if self.role == "admin" and self.store is not None:
            raise ValueError("an admin's key is of the whole organization: leave the store out")
        return self


class KeyOut(BaseModel):
    """A key, without its secret part."""

    id: UUID
    name: str
    role: KeyRole
    store: str | None
    prefix: str = Field(description="How the key begins.")
    created_at: datetime
    made_by: UUID | None = Field(
        description="The person who made it, directly or by another key. Where they may make keys no longer, it is "
        "revoked; a worker's key stays. Null of keys from before this was kept."
    )
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To about a minute.")

    @classmethod
    def of(cls, key: ApiKey) -> KeyOut:
        """As the API shows it."""
        return cls.model_validate(key.model_dump(include=set(cls.model_fields)))


class NewKeyOut(KeyOut):
    """A key that was just made."""

    key: str = Field(description="The key itself: shown this once, and kept nowhere.")
