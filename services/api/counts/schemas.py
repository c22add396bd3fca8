"""Schemas of a day's counts."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import LineCount


class Period(StrEnum):
    """Length of a bucket."""

    QUARTER = "quarter"
    HOUR = "hour"


class Now(BaseModel):
    """Present occupancy."""

    inside: int = Field(description="People inside: INs minus OUTs since the reset or a correction, never below 0.")
    revision: int = Field(description="The store's version, which is the id of its server-sent events.")
    last_at: datetime | None = Field(description="Time of the newest crossing, by the camera's clock.")


class DayTotals(BaseModel):
    """INs and OUTs of the day."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    in_: int = Field(alias="in")
    out: int
    lines: list[LineCount]


class BucketOut(BaseModel):
    """INs and OUTs of a bucket. `start` and `end` have the store's UTC offset, which summer time changes."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    start: datetime
    end: datetime
    in_: int = Field(alias="in")
    out: int


class DayCounts(BaseModel):
    """Counts of a store's local day."""

    store: str
    run: str
    time_zone: str
    day: date = Field(description="The store's local date.")
    today: bool = Field(description="Whether the day is today in the store.")
    now: Now
    totals: DayTotals
    buckets: dict[Period, list[BucketOut]] = Field(description="All buckets of the day, empty and future ones too.")
