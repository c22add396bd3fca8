"""Frames to detections events: the one path for the service and for `metrica count`, which has no bus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.events import Detections, Model
from contracts.frames import FrameHeader
from contracts.spec import CameraSpec
from services.detector.backends.protocol import BatchDetector, Detector, Found
from services.detector.region_filter import filter_by_region
from services.kit.codec import BrokenFrame, Image, decode


@dataclass(frozen=True, slots=True)
class FrameInput:
    """A frame to analyse.

    Attributes:
        frame: its header; one with `end` has no picture, and its event closes the session.
        jpeg: the picture; empty at the end.
        spec: has the camera's region filter; None keeps all detections.
    """

    frame: FrameHeader
    jpeg: bytes
    spec: CameraSpec | None = None


def analyze(frame: FrameHeader, jpeg: bytes, detector: Detector, spec: CameraSpec | None = None) -> Detections:
    """Find the people in a frame.

    A frame that cannot be read gives an event with the reason in `skipped`: the tracker must not wait for it. The
    detector's exceptions are raised; the caller can try again.

    Args:
        frame: see `FrameInput`.
        jpeg: see `FrameInput`.
        detector: finds the people. A stateful one must get a camera's frames in order.
        spec: see `FrameInput`.
    """
    item = FrameInput(frame, jpeg, spec)
    picture = _prepare(item, detector.model)
    if isinstance(picture, Detections):
        return picture
    return _event(item, detector.detect(picture, stream=stream_of(frame)), detector.model)


def stream_of(frame: FrameHeader) -> str:
    """The name of the frame's stream, for a detector that learns a background."""
    return f"{frame.run}/{frame.camera}/{frame.session}"


def analyze_batch(items: Sequence[FrameInput], detector: BatchDetector) -> list[Detections]:
    """Find the people in frames of any cameras together: the same events as by `analyze`, in the same order."""
    prepared = [_prepare(item, detector.model) for item in items]
    results = iter(detector.detect_batch([picture for picture in prepared if not isinstance(picture, Detections)]))
    return [
        picture if isinstance(picture, Detections) else _event(item, next(results), detector.model)
        for item, picture in zip(items, prepared, strict=True)
    ]


def _prepare(item: FrameInput, model: Model) -> Image | Detections:
    """The decoded picture; or the event, for a frame at a session's end or one that cannot be read."""
    if item.frame.end is not None:
        return Detections.of(item.frame, model=model)
    try:
        return _read(item.frame, item.jpeg)
    except BrokenFrame as broken:
        return Detections.of(item.frame, model=model, skipped=broken.reason)


def _event(item: FrameInput, found: Found, model: Model) -> Detections:
    if item.spec is not None:
        found = filter_by_region(found, item.spec, item.frame.width, item.frame.height)
    x1, y1, x2, y2 = found.boxes.T.tolist()
    return Detections.of(
        item.frame,
        model=model,
        boxes=tuple(zip(x1, y1, x2, y2, strict=True)),
        scores=tuple(found.scores.tolist()),
    )


def _read(frame: FrameHeader, jpeg: bytes) -> Image:
    picture = decode(jpeg)
    height, width = picture.shape[:2]
    if (width, height) != (frame.width, frame.height):
        # Lines are placed by the header's size: boxes of another size would cross them in the wrong place.
        raise BrokenFrame(
            f"the picture is {width}x{height} pixels, but its header says {frame.width}x{frame.height}: "
            "boxes in it would not fit the camera's lines"
        )
    return picture
