"""Schemas of promotions."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.identity import Token
from services.api.http.bodies import Incoming, Label
from services.kit.database.tables import Promotion


class PromotionIn(Incoming):
    """A line and a period of which a run's counts are to be shown in place of the live ones."""

    camera: Token = Field(examples=["door"])
    line: Token = Field(examples=["entrance"])
    since: AwareDatetime | None = Field(
        default=None, description="Begin, on a quarter of an hour; by default the first whole one of the run."
    )
    until: AwareDatetime | None = Field(default=None, description="End, exclusive, likewise.")
    note: Label = Field(default="", description="The reason, for the record.")


class PromotionOut(BaseModel):
    """A promotion. It is never deleted, only revoked."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    store: str
    camera: str
    line: str
    since: datetime
    until: datetime
    run: str
    at: datetime
    who: str
    note: str
    revoked_at: datetime | None
    revoked_by: str | None

    @classmethod
    def of(cls, row: Promotion) -> PromotionOut:
        """The schema of a row."""
        return cls.model_validate(row)
