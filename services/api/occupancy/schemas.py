"""Schemas of occupancy."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.api.history.schemas import InOutCounts
from services.api.http.bodies import Incoming, WallTime


class InsideNow(BaseModel):
    """Present occupancy."""

    inside: int = Field(description="People inside, as in the live stream.")
    at: datetime
    since: datetime = Field(description="Time of the last reset or correction, from which people are counted.")
    corrected: bool = Field(description="Whether `since` is a correction.")


class InsideThen(InOutCounts):
    """INs and OUTs of a bucket, and the people inside at its end."""

    start: datetime
    end: datetime
    label: str
    inside: int


class CorrectionOut(BaseModel):
    """A correction of occupancy."""

    at: datetime
    inside: int
    counted: int = Field(description="People inside by counting, when it was corrected.")
    who: str


class OccupancyOut(BaseModel):
    """A store's occupancy."""

    store: str
    time_zone: str
    capacity: int | None
    reset: WallTime = Field(description="Local time at which occupancy is reset to 0.")
    now: InsideNow
    day: date
    peak: InsideThen | None = Field(
        description="The bucket with the most people inside at its end; the first of equals."
    )
    buckets: list[InsideThen] = Field(description="Buckets of the day, up to now.")
    corrections: list[CorrectionOut]


class CorrectionIn(Incoming):
    """The true number of people inside now."""

    model_config = ConfigDict(json_schema_extra={"example": {"inside": 12}})

    inside: Annotated[int, Field(ge=0, le=1_000_000)]
