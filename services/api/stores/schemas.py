"""Schemas of stores. Source addresses are not part of them: they can contain a password."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from contracts.events import Counts, State, Status
from contracts.identity import Policy, Token
from contracts.spec import Anchor, Side
from services.api.http.bodies import Incoming, Name, Patch, RowOut, TimeZone, WallTime
from services.api.stores.opening_hours import OpeningHours

Capacity = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="The most people that may be inside at a time; null for no limit."),
]


class LineOut(RowOut):
    """A counting line, in coordinates of the frame: 0 … 1, y down."""

    id: str
    name: str
    revision: int
    x1: float
    y1: float
    x2: float
    y2: float
    in_side: Side = Field(description="The side that counts as IN, for someone walking from (x1, y1) to (x2, y2).")
    anchor: Anchor
    in_name: str = Field(description="Display name of the side where an IN ends.")
    out_name: str = Field(description="Display name of the other side.")


class CountedLineOut(LineOut):
    """A counting line, and since when it is counted."""

    counted_since: datetime | None = Field(
        description="The first moment that was counted, ever; null if none was, and for lines of edge devices."
    )


class AreaOut(BaseModel):
    """Region filter of a camera: polygons in coordinates of the frame, 0 … 1, y down."""

    regions: list[list[tuple[float, float]]] = Field(
        default=[], description="Areas in which people are detected; empty for the whole frame."
    )
    ignore: list[list[tuple[float, float]]] = Field(default=[], description="Areas in which people are ignored.")
    min_height: float = Field(
        default=0.0, description="Smallest height of a person, as a fraction of the frame's height."
    )


class ZoneOut(RowOut):
    """A zone: a named polygon in the frame, its corners in coordinates of the frame, 0 … 1, y down."""

    id: str
    name: str
    polygon: list[tuple[float, float]]


class CameraOut(BaseModel):
    """A camera with its lines, zones, detection model and state."""

    id: str
    name: str
    revision: int
    policy: Policy
    paused: bool
    model: str = Field(description="The detection model in the camera's configuration.")
    lines: list[CountedLineOut]
    zones: list[ZoneOut]
    detection: AreaOut = Field(description="Region filter.")
    state: State | None = Field(description="State over all services: the most severe of `statuses`; null without one.")
    statuses: list[Status] = Field(
        description="The latest status from each service; empty in a list without statuses (`statuses=false`)."
    )


class StoreOut(BaseModel):
    """A store with its cameras and present totals."""

    id: str
    organization: str
    name: str
    time_zone: str
    demo: bool = Field(description="Whether its counts are invented demo data.")
    capacity: int | None = Field(description="The most people that may be inside at a time; null for no limit.")
    opening_hours: OpeningHours = Field(description="Local times of each weekday; always open if no weekday has any.")
    open_now: bool | None = Field(description="Whether it is open by its opening hours; null where it has none.")
    opens_at: datetime | None = Field(
        description="When it opens next, with the store's offset then; null if it never does, or is always open."
    )
    closes_at: datetime | None = Field(
        description="When it closes next, with the store's offset then; null if it never does."
    )
    occupancy_reset: WallTime = Field(description="Local time at which occupancy is reset to 0.")
    counted_since: datetime | None = Field(
        description="The first moment that was counted by any line, ever; null if none was."
    )
    counts: Counts
    cameras: list[CameraOut]


class StoreIn(Incoming):
    """A new store."""

    id: Token | None = Field(default=None, description="Derived from the name if omitted.", examples=["main-street"])
    organization: Token
    name: Name
    time_zone: TimeZone
    opening_hours: OpeningHours = OpeningHours()
    capacity: Capacity = None


class StorePatch(Patch):
    """Fields of a store to update; omitted fields are unchanged."""

    name: Name = ""
    time_zone: TimeZone = "UTC"
    opening_hours: OpeningHours = OpeningHours()
    capacity: Capacity = None


class StoreSettings(RowOut):
    """A store's settings."""

    id: str
    organization: str
    name: str
    time_zone: str = Field(description="IANA name. The store's days begin and end by it.")
    opening_hours: OpeningHours = Field(description="Local times of each weekday; always open if no weekday has any.")
    capacity: int | None
