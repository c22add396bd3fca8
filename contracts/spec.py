"""Camera specs: the settings of one camera that the services must agree on, under one revision.

A line is given by two points normalised to the frame (0 … 1, y down) and the side that counts as IN, as seen by
a person who walks from the first point to the second:

        p1 (0.5, 0)                walking down the frame, the walker's right hand
            │                      points to the frame's left
     right  │  left
            ▼
        p2 (0.5, 1)
"""

from __future__ import annotations

import re
from enum import StrEnum
from math import hypot
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.area import DetectionArea
from contracts.identity import Nanoseconds, Policy, Token, token

MIN_LINE_LENGTH = 0.02
"""Least length of a line, as a fraction of the frame's side: a shorter one can count no person."""


class Side(StrEnum):
    """A side of a line, for a person walking from its first point to its second."""

    LEFT = "left"
    RIGHT = "right"


class Anchor(StrEnum):
    """The point of a person's box that must cross a line."""

    CENTER = "center"
    FOOT = "foot"


class _SpecModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CountingLine(_SpecModel):
    """A directed segment at which crossings are counted.

    `revision` rises with each change of the geometry, the side or the anchor: it is part of each crossing's id.
    `in_name` and `out_name` are the names of its two sides: an IN goes from `out_name` ("street") to `in_name`
    ("shop").
    """

    id: Token
    name: str = ""
    revision: Annotated[int, Field(ge=1)] = 1
    x1: float
    y1: float
    x2: float
    y2: float
    in_side: Side = Side.RIGHT
    anchor: Anchor = Anchor.CENTER
    in_name: str = ""
    out_name: str = ""

    @property
    def length(self) -> float:
        """Length as a fraction of the frame's sides."""
        return hypot(self.x2 - self.x1, self.y2 - self.y1)

    @model_validator(mode="after")
    def _can_count(self) -> Self:
        points = ((self.x1, self.y1), (self.x2, self.y2))
        for x, y in points:
            if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
                raise ValueError(
                    f"line {self.id}: the point ({x:g}, {y:g}) lies outside the picture; "
                    "coordinates go from 0 (left, top) to 1 (right, bottom)"
                )
        if self.length < MIN_LINE_LENGTH:
            raise ValueError(
                f"line {self.id} is shorter than {MIN_LINE_LENGTH:.0%} of the picture, less than a person: "
                "draw it longer"
            )
        return self


MAX_RATE = 1000.0
"""Highest frames per second that may be set for a video: slow-motion cameras record as many."""


class Capture(_SpecModel):
    """Settings that turn a source into frames. Part of a file's session: a change makes another session.

    Attributes:
        fps: target frames per second; None keeps the source's own.
        width: greatest width in pixels; smaller pictures are not enlarged.
        quality: JPEG quality, as in OpenCV.
        track: number of the video track to read, from 1, in a source with several; None for the main one.
        rate: frames per second of a file with wrong or missing times; None takes the file's times.
    """

    fps: Annotated[float, Field(gt=0, le=120)] | None = None
    width: Annotated[int, Field(ge=64, le=4096)] = 960
    quality: Annotated[int, Field(ge=30, le=100)] = 85
    track: Annotated[int, Field(ge=1, le=32)] | None = None
    rate: Annotated[float, Field(gt=0, le=MAX_RATE, allow_inf_nan=False)] | None = None


def reading_changes(track: int | None, rate: float | None) -> dict[str, int | float | None]:
    """Turn options for a video's track and rate into changes of a `Capture`: None changes nothing, 0 resets to None."""
    return {name: value or None for name, value in (("track", track), ("rate", rate)) if value is not None}


class CameraSpec(_SpecModel):
    """One camera at one revision. Immutable: a change makes the next revision."""

    version: int = 1
    revision: Annotated[int, Field(ge=1)] = 1
    store: Token
    camera: Token
    name: str = ""
    model: str = "person-detection-0200"
    policy: Policy = Policy.LATEST
    capture: Capture = Capture()
    preview_fps: Annotated[float, Field(ge=0, le=5)] = 4.0
    lines: tuple[CountingLine, ...] = ()
    detection: DetectionArea = DetectionArea()
    paused: bool = False
    record: bool = False
    """True to record its frames for a while. No picture is stored unless the camera's owner enables this."""

    @property
    def anchors(self) -> frozenset[Anchor]:
        """Anchors that any of the lines counts by; the region filter decides by them, too."""
        return frozenset(line.anchor for line in self.lines) or frozenset({Anchor.CENTER})

    @property
    def pool(self) -> str:
        """Pool of the detectors for this camera's model."""
        return token(self.model)

    @model_validator(mode="after")
    def _lines_have_own_ids(self) -> Self:
        ids = [line.id for line in self.lines]
        if len(set(ids)) != len(ids):
            raise ValueError(f"camera {self.camera}: two of its lines have the same id: {', '.join(ids)}")
        return self

    @model_validator(mode="after")
    def _lines_lie_in_the_detection_area(self) -> Self:
        for line in self.lines:
            inside = self.detection.seen_part((line.x1, line.y1), (line.x2, line.y2))
            if inside * line.length < MIN_LINE_LENGTH:
                raise ValueError(
                    f"line {line.id} can never count: nobody is looked for where it lies. Draw it inside the camera's "
                    "regions and outside of what is ignored, or draw those otherwise"
                )
        return self


class Source(_SpecModel):
    """The source of a camera's frames. Only ingest may read it: an address can contain a password."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    version: int = 1
    camera: Token
    address: Annotated[str, Field(repr=False)]
    start: Nanoseconds | None = None
    again: Annotated[int, Field(ge=0)] = 0
    """Number of times that the owner asked for a finished file to be counted again."""
    trusted: bool = False
    """True if a superadmin or the machine's operator set the address: it may then be one of this machine itself."""


def spec_key(camera: str, revision: int) -> str:
    """Return the KV key of one revision of a camera's spec: written once, never changed."""
    return f"{camera}.{revision}"


def current_key(camera: str) -> str:
    """Return the KV key of a camera's newest spec, which services watch."""
    return f"{camera}.current"


def default_policy(address: str) -> Policy:
    """Choose the policy for a source: `every` if it can wait (files, `sim` with `pace=max`), else `latest`.

    Args:
        address: a video file, `rtsp://…`, `http://…`, `file://…`, `sim://…`, a camera's number or `/dev/video…`.
    """
    address = address.strip()
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://", address, re.IGNORECASE)
    if scheme is None:
        device = address.isdecimal() or address.startswith("/dev/")
        return Policy.LATEST if device else Policy.EVERY
    match scheme[1].lower():
        case "file":
            return Policy.EVERY
        case "sim":
            return Policy.EVERY if parse_qs(urlsplit(address).query).get("pace") == ["max"] else Policy.LATEST
        case _:
            return Policy.LATEST
