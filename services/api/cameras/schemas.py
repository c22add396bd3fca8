"""Schemas of cameras. An address can contain a password: the role decides how much of it is returned."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, PrivateAttr

from contracts.address import origin, redact
from contracts.area import DetectionArea, Point
from contracts.identity import Nanoseconds, Policy, Token
from contracts.spec import Anchor, Capture, Side
from services.api.access.principal import Role
from services.api.cameras.setup import CameraSetup
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
        description="`rtsp://…`, `rtsps://…`, `rtspu://…` (RTSP with media over UDP), `http://…`, `https://…` or "
        "`sim://door`. Files and devices of the server, and addresses of the server itself, require a superadmin. "
        "Stored sealed; its secrets are never returned.",
        examples=["rtsp://user:password@10.0.0.5:554/stream"],
    ),
]
MAX_LINES = MAX_ZONES = 50
MAX_CORNERS = 100


class LineIn(Incoming):
    """A counting line, in coordinates of the frame: 0 … 1, y down."""

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
    in_name: Label = Field(default="", description="Display name of the side where an IN ends.")
    out_name: Label = ""


class LinesIn(Incoming):
    """All lines of a camera; omitted ones are removed. A line that is moved gets a new revision."""

    lines: Annotated[tuple[LineIn, ...], Field(max_length=MAX_LINES)]


class ZoneIn(Incoming):
    """A zone: a named polygon in the frame."""

    id: Token = Field(examples=["till"])
    name: Label = Field(default="", examples=["Till"])
    polygon: Annotated[tuple[Point, ...], Field(max_length=MAX_CORNERS)] = Field(
        description="Corners in order around it, in coordinates of the frame: 0 … 1, y down.",
        examples=[[[0.1, 0.5], [0.4, 0.5], [0.4, 1.0], [0.1, 1.0]]],
    )


class ZonesIn(Incoming):
    """All zones of a camera; omitted ones are removed."""

    zones: Annotated[tuple[ZoneIn, ...], Field(max_length=MAX_ZONES)]


class CameraPatch(Patch):
    """Fields of a camera to update; omitted fields are unchanged."""

    name: Label = ""
    address: Address = ""
    model: str = Field(default="person-detection-0200", min_length=1, max_length=200)
    capture: Capture = Capture()
    preview_fps: float = Field(default=4.0, ge=0, le=5, allow_inf_nan=False)
    detection: DetectionArea = DetectionArea()
    paused: bool = Field(default=False, description="A paused camera is not opened until it is resumed.")
    record: bool = Field(
        default=False, description="Keep its frames for some days, for replays. Requires the admin role."
    )
    start: Nanoseconds | None = Field(default=None, description="Time of a file's first frame, ns UTC.")
    again: bool = Field(default=False, description="Count a file again that was counted already.")


class CameraIn(CameraPatch):
    """A new camera."""

    id: Token | None = Field(default=None, description="Derived from the name if omitted.", examples=["door"])
    address: Address
    lines: Annotated[tuple[LineIn, ...], Field(max_length=MAX_LINES)] = ()


class CameraSettings(Versioned):
    """A camera's settings."""

    id: str
    store: str
    name: str
    address: str = Field(
        description="For managers, with `***` in place of user name, password and anything else that may be secret; "
        "for viewers, scheme and host only.",
        examples=["rtsp://10.0.0.5:554/stream"],
    )
    model: str
    policy: Policy
    capture: Capture
    preview_fps: float
    detection: DetectionArea
    paused: bool
    record: bool = Field(description="Whether its frames are kept for some days, for replays.")
    start: int | None
    revision: int = Field(description="Increases with every change that affects the services.")
    lines: list[LineOut]
    zones: list[ZoneOut]

    _sealed_address: str = PrivateAttr(default="")
    """The sealed address: it changes with the address and reveals nothing of it."""

    @property
    def version(self) -> str:
        """Text that is the same for every role and changes with the address."""
        return self.model_dump_json(exclude={"address"}) + self._sealed_address

    @classmethod
    def of(cls, role: Role | None, setup: CameraSetup, camera: Camera, lines: list[Line], zones: list[ZoneRow]) -> Self:
        """The settings of a camera as a role may see them."""
        settings = cls(
            id=setup.camera,
            address=_visible_address(role, setup.address),
            policy=setup.policy,
            revision=camera.revision,
            lines=[LineOut.of(line) for line in lines],
            zones=[ZoneOut.of(zone) for zone in zones],
            **setup.model_dump(
                include={"store", "name", "model", "capture", "preview_fps", "detection", "paused", "record", "start"}
            ),
        )
        settings._sealed_address = camera.address
        return settings


class ProbeIn(Incoming):
    """An address to test."""

    address: Address


class ProbeOut(BaseModel):
    """Result of a camera test."""

    works: bool
    message: str = Field(description="The error, and what to do; empty if it works.")
    width: int | None = Field(default=None, description="Width of the source, pixels.")
    height: int | None = Field(default=None, description="Height of the source, pixels.")
    fps: float | None = Field(default=None, description="Frames per second, as the source reports them.")
    picture: str | None = Field(default=None, description="The frame: JPEG, base64.")


def required_role(body: CameraPatch) -> Role:
    """The role that a change takes: admin where it keeps pictures of people, else manager."""
    return Role.ADMIN if "record" in body.changes else Role.MANAGER


def changes_of(body: CameraPatch) -> dict[str, Any]:
    """The fields of a body that are set, as fields of `CameraSetup`."""
    return {name: value for name, value in body.changes.items() if name not in {"id", "lines"}}


def _visible_address(role: Role | None, address: str) -> str:
    if is_sealed(address):
        return "(sealed with another METRICA_SECRET_KEY)"
    return redact(address) if role is not None and role.allows(Role.MANAGER) else origin(address)
