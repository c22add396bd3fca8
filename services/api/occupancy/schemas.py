"""Occupancy as the API shows and takes it."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from services.api.history.schemas import Tally
from services.api.http.bodies import Incoming

# JSON Schema's "time" has an offset; this is what a clock on the wall shows.
WallTime = Annotated[time, WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d:\d\d", "examples": ["04:00:00"]})]


class InsideNow(BaseModel):
    """How it is at this moment."""

    inside: int = Field(description="People inside: the same as in the live stream.")
    at: datetime
    since: datetime = Field(description="From when on they are counted: the last reset, or the last correction.")
    corrected: bool = Field(description="Whether that was a correction.")


class InsideThen(Tally):
    """A piece of the day: INs and OUTs, and how many were inside at its end."""

    start: datetime
    end: datetime
    label: str
    inside: int


class CorrectionOut(BaseModel):
    """What somebody said."""

    at: datetime
    inside: int
    counted: int = Field(description="How many had been counted until then.")
    who: str


class OccupancyOut(BaseModel):
    """A store's occupancy."""

    store: str
    time_zone: str
    capacity: int | None
    reset: WallTime = Field(description="The local time at which nobody is inside any more.")
    now: InsideNow
    day: date
    peak: InsideThen | None = Field(description="The piece at whose end the most were inside; the first of several.")
    buckets: list[InsideThen] = Field(description="The day, as far as it has come.")
    corrections: list[CorrectionOut]


class CorrectionIn(Incoming):
    """How many there are now."""

    model_config = ConfigDict(json_schema_extra={"example": {"inside": 12}})

    inside: Annotated[int, Field(ge=0, le=1_000_000)]
