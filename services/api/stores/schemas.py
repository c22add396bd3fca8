"""A store as the API shows it. Source addresses are not in here: they can hold a password."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from contracts.events import Counts, State, Status
from contracts.identity import Policy, Token
from contracts.spec import Anchor, Side
from services.api.http.bodies import Incoming, Name, Patch, TimeZone
from services.api.stores.opening_hours import OpeningHours
from services.kit.database.tables import Line, Store, ZoneRow

Capacity = Annotated[
    int | None, Field(ge=1, le=1_000_000, description="How many people may be inside at a time; null says nothing.")
]


class LineOut(BaseModel):
    """A counting line, in coordinates of the picture: 0 … 1, y down."""

    id: str
    name: str
    revision: int
    x1: float
    y1: float
    x2: float
    y2: float
    in_side: Side = Field(description="The side that counts as IN, for someone walking from (x1, y1) to (x2, y2).")
    anchor: Anchor
    in_name: str = Field(description="What people call the side where an IN ends.")
    out_name: str = Field(description="What people call the other side.")

    @classmethod
    def of(cls, line: Line) -> LineOut:
        """As the API shows it."""
        return cls.model_validate(line.model_dump())


class AreaOut(BaseModel):
    """Where a camera looks for people: polygons in coordinates of the picture, 0 … 1, y down."""

    regions: list[list[tuple[float, float]]] = Field(default=[], description="None is everywhere.")
    ignore: list[list[tuple[float, float]]] = Field(default=[], description="Nobody is seen in these.")
    min_height: float = Field(default=0.0, description="Who is smaller is not seen: a part of the picture's height.")


class ZoneOut(BaseModel):
    """A named part of a camera's picture: its corners in coordinates of the picture, 0 … 1, y down."""

    id: str
    name: str
    polygon: list[tuple[float, float]]

    @classmethod
    def of(cls, zone: ZoneRow) -> ZoneOut:
        """As the API shows it."""
        return cls.model_validate(zone.model_dump())


class CameraOut(BaseModel):
    """A camera, its lines and zones, the model that counts, and how it does."""

    id: str
    name: str
    revision: int
    policy: Policy
    paused: bool
    model: str = Field(description="The detection model that the camera is configured with.")
    lines: list[LineOut]
    zones: list[ZoneOut]
    detection: AreaOut = Field(description="Where people are looked for.")
    state: State | None = Field(description="How it does, all services together: the worst of `statuses`.")
    statuses: list[Status] = Field(description="The last word of each service about this camera.")


class StoreOut(BaseModel):
    """A store with its cameras and its totals of now."""

    id: str
    name: str
    time_zone: str
    demo: bool = Field(description="Whether what was counted here is invented.")
    counts: Counts
    cameras: list[CameraOut]


class StoreIn(Incoming):
    """A new store."""

    id: Token | None = Field(
        default=None, description="Made from the name where it is left out.", examples=["main-street"]
    )
    organization: Token
    name: Name
    time_zone: TimeZone
    opening_hours: OpeningHours = OpeningHours()
    capacity: Capacity = None


class StorePatch(Patch):
    """What is to be another about a store."""

    name: Name = ""
    time_zone: TimeZone = "UTC"
    opening_hours: OpeningHours = OpeningHours()
    capacity: Capacity = None


class StoreSettings(BaseModel):
    """A store as it is set."""

    id: str
    organization: str
    name: str
    time_zone: str = Field(description="Its days begin and end by it.")
    opening_hours: OpeningHours = Field(description="Local times of each weekday; where none are said, always open.")
    capacity: int | None

    @classmethod
    def of(cls, store: Store) -> StoreSettings:
        """As the API shows it."""
        return cls.model_validate(store.model_dump())
