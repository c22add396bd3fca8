"""A camera, as it is said and shown. Its address is a secret: how much of it is shown depends on the role."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, PrivateAttr

from contracts.address import origin, redact
from contracts.area import DetectionArea, Point
from contracts.identity import Nanoseconds, Policy, Token
from contracts.spec import Anchor, Capture, Side
from services.api.access import Role
from services.api.cameras.repository import CameraSetup
from services.api.http.bodies import Incoming, Label, Patch
from services.api.http.etags import Versioned
from services.api.stores.schemas import LineOut, ZoneOut
from services.kit.database.tables import Camera, Line, ZoneRow
from services.kit.vault import is_sealed

Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="`rtsp://…`, `rtsps://…`, `rtspu://…` (RTSP whose pictures come by UDP), `http://…`, `https://…` "
        "or `sim://door`; files and devices of the machine, and this machine itself, take a superadmin. It is kept "
        "sealed, and its secrets are never shown.",
        examples=["rtsp://user:password@10.0.0.5:554/stream"],
    ),
]
MAX_LINES = MAX_ZONES = 50
MAX_CORNERS = 100


class LineIn(Incoming):
    """A counting line, in coordinates of the picture: 0 … 1, y down."""

    id: Token = Field(examples=["entrance"])
    name: Label = ""
    x1: float = Field(allow_inf_nan=False, examples=[0.5])
    y1: float = Field(allow_inf_nan=False, examples=[0.0])
    x2: float = Field(allow_inf_nan=False, examples=[0.5])
    y2: float = Field(allow_inf_nan=False, examples=[1.0])
    in_side: Side = Field(
        default=Side.RIGHT, description="The side that counts as IN, for someone walking from (x1, y1) to (x2, y2)."
    )
    anchor: Anchor = Anchor.CENTER
    in_name: Label = Field(default="", description="What people call the side where an IN ends.")
    out_name: Label = ""


class LinesIn(Incoming):
    """All lines of a camera: those that are not in it go. A line that is moved is another revision of itself."""

    lines: Annotated[tuple[LineIn, ...], Field(max_length=MAX_LINES)]


class ZoneIn(Incoming):
    """A named part of the picture."""

    id: Token = Field(examples=["till"])
    name: Label = Field(default="", examples=["Till"])
    polygon: Annotated[tuple[Point, ...], Field(max_length=MAX_CORNERS)] = Field(
        description="Its corners, going round, in coordinates of the picture: 0 … 1, y down.",
        examples=[[[0.1, 0.5], [0.4, 0.5], [0.4, 1.0], [0.1, 1.0]]],
    )


class ZonesIn(Incoming):
    """All zones of a camera: those that are not in it go."""

    zones: Annotated[tuple[ZoneIn, ...], Field(max_length=MAX_ZONES)]


class CameraPatch(Patch):
    """What is to be another about a camera."""

    name: Label = ""
    address: Address = ""
    model: str = Field(default="person-detection-0200", min_length=1, max_length=200)
    capture: Capture = Capture()
    preview_fps: float = Field(default=4.0, ge=0, le=5, allow_inf_nan=False)
    detection: DetectionArea = DetectionArea()
    paused: bool = Field(default=False, description="It is not looked at until it goes on.")
    record: bool = Field(
        default=False, description="Its frames are kept for some days, to be replayed. Admins alone say so."
    )
    start: Nanoseconds | None = Field(default=None, description="Of a file: when its first instant was, ns UTC.")
    again: bool = Field(default=False, description="Count a file anew that was counted already.")


class CameraIn(CameraPatch):
    """A new camera."""

    id: Token | None = Field(default=None, description="Made from the name where it is left out.", examples=["door"])
    address: Address
    lines: Annotated[tuple[LineIn, ...], Field(max_length=MAX_LINES)] = ()


class CameraSettings(Versioned):
    """A camera as it is set."""

    id: str
    store: str
    name: str
    address: str = Field(
        description="To managers without user name, password and whatever else may be secret, which is `***`; to "
        "viewers scheme and host.",
        examples=["rtsp://10.0.0.5:554/stream"],
    )
    model: str
    policy: Policy
    capture: Capture
    preview_fps: float
    detection: DetectionArea
    paused: bool
    record: bool = Field(description="Whether its frames are kept for some days.")
    start: int | None
    revision: int = Field(description="Rises with every change that the services see.")
    lines: list[LineOut]
    zones: list[ZoneOut]

    _kept: str = PrivateAttr(default="")
    """The address as it is kept: its seal is another with every address, and gives nothing of it away."""

    @property
    def version(self) -> str:
        """The same for every role, and another with every address."""
        return self.model_dump_json(exclude={"address"}) + self._kept

    @classmethod
    def of(cls, role: Role | None, setup: CameraSetup, camera: Camera, lines: list[Line], zones: list[ZoneRow]) -> Self:
        """As the API shows it to a role."""
        shown = cls(
            id=setup.camera,
            address=_shown_to(role, setup.address),
            policy=setup.policy,
            revision=camera.revision,
            lines=[LineOut.of(line) for line in lines],
            zones=[ZoneOut.of(zone) for zone in zones],
            **setup.model_dump(
                include={"store", "name", "model", "capture", "preview_fps", "detection", "paused", "record", "start"}
            ),
        )
        shown._kept = camera.address
        return shown


class ProbeIn(Incoming):
    """An address to be tried out."""

    address: Address


class ProbeOut(BaseModel):
    """What came of trying a camera out."""

    works: bool
    message: str = Field(description="Why there is no picture, and what to do.")
    width: int | None = Field(default=None, description="Of the source, pixels.")
    height: int | None = None
    fps: float | None = Field(default=None, description="Frames per second that the source says it has.")
    picture: str | None = Field(default=None, description="JPEG, base64.")


def who_may(wanted: CameraPatch) -> Role:
    """Who may say this of a camera: that pictures of people are kept is for those who answer for it."""
    return Role.ADMIN if "record" in wanted.said else Role.MANAGER


def said(wanted: CameraPatch) -> dict[str, Any]:
    """What was said of a camera, in the words of `CameraSetup`."""
    return {name: value for name, value in wanted.said.items() if name not in {"id", "lines"}}


def _shown_to(role: Role | None, address: str) -> str:
    if is_sealed(address):
        return "(sealed with another METRICA_SECRET_KEY)"
    return redact(address) if role is not None and role.allows(Role.MANAGER) else origin(address)
