"""A store as the API shows it. Source addresses are not in here: they can hold a password."""

from __future__ import annotations

from pydantic import BaseModel, Field

from contracts.events import Counts, State, Status
from contracts.identity import Policy
from contracts.spec import Anchor, Side


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


class AreaOut(BaseModel):
    """Where a camera looks for people: polygons in coordinates of the picture, 0 … 1, y down."""

    regions: list[list[tuple[float, float]]] = Field(default=[], description="None is everywhere.")
    ignore: list[list[tuple[float, float]]] = Field(default=[], description="Nobody is seen in these.")
    min_height: float = Field(default=0.0, description="Who is smaller is not seen: a part of the picture's height.")


class CameraOut(BaseModel):
    """A camera, its lines, the model that counts, and how it does."""

    id: str
    name: str
    revision: int
    policy: Policy
    paused: bool
    model: str = Field(description="The detection model that the camera is configured with.")
    lines: list[LineOut]
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
