"""One frame to one detections event: what the service does with every frame, and `metrica count` without the bus."""

from __future__ import annotations

from contracts.events import Detections
from contracts.frames import FrameHeader
from services.detector.protocol import Detector
from services.kit.codec import BrokenFrame, Image, decode


def analyze(frame: FrameHeader, jpeg: bytes, detector: Detector) -> Detections:
    """Look at a frame.

    A frame that cannot be read becomes an event that says so in `skipped`: the tracker must not wait for it. What a
    detector raises goes up to the caller, who can try again.

    Args:
        frame: the frame's header; with `end` there is no picture to look at, and the event closes the session.
        jpeg: the picture, empty at the end.
        detector: finds the people. A stateful one must be given a camera's frames in order.
    """
    if frame.end is not None:
        return Detections.of(frame, model=detector.model)
    try:
        picture = _read(frame, jpeg)
    except BrokenFrame as broken:
        return Detections.of(frame, model=detector.model, skipped=broken.reason)
    found = detector.detect(picture, stream=f"{frame.run}/{frame.camera}/{frame.session}")
    x1, y1, x2, y2 = found.boxes.T.tolist()
    return Detections.of(
        frame,
        model=detector.model,
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
