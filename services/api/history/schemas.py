"""History as the API shows it. Dates are local: those of the store's calendar."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from contracts.identity import LIVE, TOKEN_PATTERN
from services.api.counts.buckets import FIRST_DAY, LAST_DAY
from services.api.history.period import Against, Size
from services.api.history.repository import By

Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]

# JSON Schema's "date-time" has an offset, which the clocks of stores in several time zones do not share.
Local = Annotated[
    datetime,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
            "examples": ["2026-11-23T14:00:00+01:00", "2026-11-23T14:00:00"],
        }
    ),
]


class DatesQuery(BaseModel):
    """From when to when."""

    model_config = ConfigDict(extra="forbid")

    from_: Day | None = Field(default=None, alias="from", description="The first date; `to` where it is left out.")
    to: Day | None = Field(default=None, description="The last date, itself included; today where it is left out.")
    run: str = Field(default=LIVE, pattern=TOKEN_PATTERN, description="`live`, or the name of a replay.")


class BucketsQuery(DatesQuery):
    """In which buckets."""

    bucket: Size = Field(default=Size.HOUR, description="How long a bucket is. A week begins on Monday.")
    open_only: bool = Field(default=False, description="Only quarter hours in which the store is open.")


class FootfallQuery(BucketsQuery):
    """What is asked for."""

    compare: list[Against] = Field(
        default=[],
        description="`previous`: as many days before; of whole months, months. `weekday`: the same weekdays before.",
    )
    peak: bool = Field(
        default=False, description="Look for the peak hour: of many stores and days, that takes a while."
    )


class FootfallExportQuery(BucketsQuery):
    """What is exported of a store."""

    by: Literal[By.TOTAL, By.CAMERA, By.LINE] = Field(default=By.TOTAL, description="What makes a series.")


class StoreFootfallQuery(FootfallQuery):
    """What is asked for of a store."""

    by: Literal[By.TOTAL, By.CAMERA, By.LINE] = Field(default=By.TOTAL, description="What makes a series.")


class OrganizationFootfallQuery(FootfallQuery):
    """What is asked for of an organization."""

    by: Literal[By.TOTAL, By.STORE] = Field(default=By.TOTAL, description="What makes a series.")


class Tally(BaseModel):
    """INs and OUTs."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    in_: int = Field(default=0, alias="in")
    out: int = 0


class BucketOut(Tally):
    """INs and OUTs from `start` until before `end`.

    Both carry the store's offset at that moment; of stores in several time zones they carry none, and are what each
    store's own wall clock shows.
    """

    start: Local
    end: Local
    label: str = Field(description="Its beginning by the wall clock: 2026-11-23T14:00, 2026-11-23, 2026-W48, 2026-11.")


class SeriesOut(Tally):
    """What is counted together."""

    store: str | None = None
    camera: str | None = None
    line: str | None = None
    buckets: list[BucketOut] = Field(description="The whole period, empty buckets and those to come too.")


class UntilOut(Tally):
    """INs and OUTs of a period until a moment."""

    until: datetime | None = Field(description="None where the stores' clocks show different times.")


class SoFarOut(BaseModel):
    """A period that is not over beside the same part of another one."""

    now: UntilOut = Field(description="Of the period, until the last full quarter hour.")
    then: UntilOut = Field(description="Of what it is compared with, until the same time by the wall clock.")


class ComparedOut(Tally):
    """The other period, whole."""

    against: Against
    from_: date = Field(alias="from")
    to: date
    so_far: SoFarOut | None = Field(description="None where the period is over, or has not begun.")
    buckets: list[BucketOut]


class FootfallOut(Tally):
    """Footfall of a store's or an organization's local dates, beside others'."""

    store: str | None = None
    organization: str | None = None
    run: str
    time_zone: str | None = Field(description="None where the stores are in several.")
    from_: date = Field(alias="from")
    to: date
    bucket: Size
    open_only: bool
    peak: BucketOut | None = Field(
        default=None, description="The local hour with the most INs, the first of several, where it was asked for."
    )
    series: list[SeriesOut]
    compared: list[ComparedOut] = Field(description="In the order in which it was asked for.")
