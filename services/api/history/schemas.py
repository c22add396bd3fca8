"""Schemas of history. Dates are local dates of the store."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from contracts.identity import LIVE, TOKEN_PATTERN, Direction
from services.api.history.period import COMPARE_PATTERN, FIRST_DAY, LAST_DAY, Size
from services.api.history.repository import By
from services.api.http.pagination import LARGEST

Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]

# JSON Schema's "date-time" has an offset, which stores in several time zones do not share.
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
    """Local dates and the run of a query."""

    model_config = ConfigDict(extra="forbid")

    from_: Day | None = Field(default=None, alias="from", description="The first date; `to` if omitted.")
    to: Day | None = Field(default=None, description="The last date, inclusive; today if omitted.")
    run: str = Field(default=LIVE, pattern=TOKEN_PATTERN, description="`live`, or the name of a replay.")


class BucketsQuery(DatesQuery):
    """Buckets of a query."""

    bucket: Size = Field(default=Size.HOUR, description="Length of a bucket. A week begins on Monday.")
    open_only: bool = Field(default=False, description="Count only quarter hours in which the store is open.")


class FootfallQuery(BucketsQuery):
    """Query for footfall."""

    compare: list[Annotated[str, Field(pattern=COMPARE_PATTERN)]] = Field(
        default=[],
        max_length=4,
        description="`previous`: the period of the same length before; of whole months, as many months. `weekday`: the "
        "nearest earlier period with the same weekdays. `year`: 52 weeks before. `from:2026-11-02`: from that date on. "
        "`typical`: the median of the last eight days with the same weekday that were counted.",
        examples=[["typical", "year"]],
    )
    peak: bool = Field(default=False, description="Find the peak hour; slow for many stores and days.")


class FootfallExportQuery(BucketsQuery):
    """Query for an export of a store's footfall."""

    by: Literal[By.TOTAL, By.CAMERA, By.LINE] = Field(default=By.TOTAL, description="Grouping into series.")


class StoreFootfallQuery(FootfallQuery):
    """Query for a store's footfall."""

    by: Literal[By.TOTAL, By.CAMERA, By.LINE] = Field(default=By.TOTAL, description="Grouping into series.")


class OrganizationFootfallQuery(FootfallQuery):
    """Query for an organization's footfall."""

    by: Literal[By.TOTAL, By.STORE] = Field(default=By.TOTAL, description="Grouping into series.")


class InOutCounts(BaseModel):
    """INs and OUTs."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    in_: int = Field(default=0, alias="in")
    out: int = 0


Covered = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        description="Share of the time that was counted, of the opening hours where the store has some: 0 is a gap, "
        "not a zero. Null where it is not known: for the future, and for edge devices, which do not report it.",
    ),
]


class BucketOut(InOutCounts):
    """INs and OUTs from `start` to the exclusive `end`.

    Both have the store's UTC offset at that moment. For stores in several time zones they have none and are wall-clock
    times of each store.
    """

    start: Local
    end: Local
    label: str = Field(description="Its start by the wall clock: 2026-11-23T14:00, 2026-11-23, 2026-W48, 2026-11.")
    covered: Covered = None


class ComparedBucketOut(BucketOut):
    """A bucket of a comparison; of `typical` with its spread."""

    low: int | None = Field(default=None, description="`typical`: the lower quartile of the INs.")
    high: int | None = Field(default=None, description="`typical`: the upper quartile of the INs.")


class SeriesOut(InOutCounts):
    """A series of buckets: the total, or one store, camera or line."""

    store: str | None = None
    camera: str | None = None
    line: str | None = None
    covered: Covered = None
    buckets: list[BucketOut] = Field(description="All buckets of the period, empty and future ones too.")


class UntilOut(InOutCounts):
    """INs and OUTs from the start of a period to a moment in it."""

    until: datetime | None = Field(description="Null if the stores are in several time zones, and for `typical`.")


class SoFarOut(BaseModel):
    """A period that is under way, and the same part of the period that it is compared with."""

    now: UntilOut = Field(description="The period, to the last full quarter hour.")
    then: UntilOut = Field(description="The other period, to the same wall-clock time.")


class ComparableOut(BaseModel):
    """The INs and OUTs of the time that was counted in both periods, by the same lines. Percentages are of these."""

    now: InOutCounts
    then: InOutCounts
    hours: float = Field(description="Hours of the period that are compared; 0 if nothing can be.")
    share: float = Field(ge=0, le=1, description="Their share of the period up to now.")


class ComparedOut(InOutCounts):
    """A period that footfall is compared with, or a typical one."""

    against: str
    from_: date = Field(alias="from", description="Of `typical`, the earliest of its days.")
    to: date
    days: int | None = Field(
        default=None, description="`typical`: the least number of days of a weekday; with 0 there are no figures."
    )
    covered: Covered = None
    so_far: SoFarOut | None = Field(description="Null if the period is over or has not begun.")
    comparable: ComparableOut
    buckets: list[ComparedBucketOut]


class FootfallOut(InOutCounts):
    """Footfall of a store or an organization over local dates, with comparisons."""

    store: str | None = None
    organization: str | None = None
    run: str
    time_zone: str | None = Field(description="Null if the stores are in several.")
    from_: date = Field(alias="from")
    to: date
    bucket: Size
    open_only: bool
    counted_since: datetime | None = Field(description="The first moment that was counted, ever; null if none was.")
    covered: Covered = None
    peak: BucketOut | None = Field(
        default=None, description="The local hour with the most INs, the first of equals; null unless requested."
    )
    series: list[SeriesOut]
    compared: list[ComparedOut] = Field(description="In the order of the query's `compare`.")


class CrossingsQuery(DatesQuery):
    """Query for crossings."""

    camera: str | None = Field(default=None, pattern=TOKEN_PATTERN, description="Those of one camera.")
    line: str | None = Field(default=None, pattern=TOKEN_PATTERN, description="Those over lines of this id.")
    limit: int = Field(default=50, ge=1, le=LARGEST, description="Largest number of items in a page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next` of the previous page.")


class CrossingOut(BaseModel):
    """A person who crossed a line."""

    id: UUID
    at: datetime = Field(description="Time of the crossing, by the store's wall clock.")
    camera: str
    line: str
    direction: Direction
    place: float = Field(description="Position along the line: 0 at its first point, 1 at its second.")
    model: str | None = Field(description="The detection model; null for edge devices.")


class ProfileHour(InOutCounts):
    """An hour of the week: medians over the days on which it was counted, and the quartiles of the INs."""

    weekday: int = Field(ge=1, le=7, description="1 is Monday.")
    hour: int = Field(ge=0, le=23)
    days: int = Field(ge=1, description="Number of days that were counted in this hour.")
    low: int = Field(description="The lower quartile of the INs.")
    high: int = Field(description="The upper quartile of the INs.")


class ProfileOut(BaseModel):
    """The usual counts of each hour of a week. An hour that was never counted is left out."""

    store: str | None = None
    run: str
    from_: date = Field(alias="from")
    to: date
    counted_since: datetime | None = Field(description="The first moment that was counted, ever; null if none was.")
    hours: list[ProfileHour]

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)


class ProfileQuery(DatesQuery):
    """Query for a profile."""

    open_only: bool = Field(default=False, description="Count only quarter hours in which the store is open.")
