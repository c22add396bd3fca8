"""Frames to detections events: what the service does with every frame, and `metrica count` without the bus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.events import Detections, Model
from contracts.frames import FrameHeader
from contracts.spec import CameraSpec
from services.detector.backends.protocol import BatchDetector, Detector, Found
from services.detector.region_filter import looked_for
from services.kit.codec import BrokenFrame, Image, decode


@dataclass(frozen=True, slots=True)
class Look:
    """A frame to look at.

    Attributes:
        frame: its header; with `end` there is no picture to look at, and the event closes the session.
        jpeg: the picture, empty at the end.
        spec: says where its camera looks; None looks everywhere.
    """

    frame: FrameHeader
    jpeg: bytes
    spec: CameraSpec | None = None


def analyze(frame: FrameHeader, jpeg: bytes, detector: Detector, spec: CameraSpec | None = None) -> Detections:
    """Look at a frame.

    A frame that cannot be read becomes an event that says so in `skipped`: the tracker must not wait for it. What a
    detector raises goes up to the caller, who can try again.

    Args:
        frame: see `Look`.
        jpeg: see `Look`.
        detector: finds the people. A stateful one must be given a camera's frames in order.
        spec: see `Look`.
    """
    look = Look(frame, jpeg, spec)
    picture = _prepare(look, detector.model)
    if isinstance(picture, Detections):
        return picture
    return _event(look, detector.detect(picture, stream=stream_of(frame)), detector.model)


def stream_of(frame: FrameHeader) -> str:
    """The stream that a frame is one of, for a detector that learns a background."""
    return f"{frame.run}/{frame.camera}/{frame.session}"


def analyze_batch(looks: Sequence[Look], detector: BatchDetector) -> list[Detections]:
    """Look at frames of any cameras together: each gets the event that `analyze` makes of it."""
    prepared = [_prepare(look, detector.model) for look in looks]
    found = iter(detector.detect_batch([one for one in prepared if not isinstance(one, Detections)]))
    return [
        one if isinstance(one, Detections) else _event(look, next(found), detector.model)
        for look, one in zip(looks, prepared, strict=True)
    ]


def _prepare(look: Look, model: Model) -> Image | Detections:
    """The picture to look at, or the event of a frame that there is nothing to look at in."""
    if look.frame.end is not None:
        return Detections.of(look.frame, model=model)
    try:
        return _read(look.frame, look.jpeg)
    except BrokenFrame as broken:
        return Detections.of(look.frame, model=model, skipped=broken.reason)


def _event(look: Look, found: Found, model: Model) -> Detections:
    if look.spec is not None:
        found = looked_for(found, look.spec, look.frame.width, look.frame.height)
    x1, y1, x2, y2 = found.boxes.T.tolist()
    return Detections.of(
        look.frame,
        model=model,
        boxes=tuple(zip(x1, y1, x2, y2, strict=True)),
        scores=tuple(found.scores.tolist()),
    )


def _read(frame: FrameHeader, jpeg: bytes) -> Image:
    picture = decode(jpeg)
    height, width = picture.shape[:2]
    if (width, height) != (frame.width, frame.height):
        # Lines are laid over the header's size: boxes of another size would cross them in the wrong place.
        raise BrokenFrame(
            f"the picture is {width}x{height} pixels, but its header says {frame.width}x{frame.height}: "
            "boxes in it would not fit the camera's lines"
        )
    return picture
