"""The only frame codec: the service ingest and `metrica count` both use it, so that they analyse the same pixels.

A frame travels as JPEG, BGR, never wider than the camera's `capture.width`. Every box, line and path downstream is in
the pixels of that JPEG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.spec import Capture

Image = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR as OpenCV reads it."""

_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
MAX_PIXELS = 64_000_000
"""More than any camera sends. A header that claims more is refused, as decoding it would allocate gigabytes."""


class BrokenFrame(ValueError):
    """Bytes that cannot be read as a picture; `reason` is the problem, as part of a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Encoded:
    """A frame as it is published. `width` and `height` are the pixels of the JPEG, not those of the source."""

    jpeg: bytes
    width: int
    height: int


def encode(image: NDArray[np.uint8], capture: Capture) -> Encoded:
    """Shrink a picture to `capture.width`, keeping its shape, and encode it as JPEG. Smaller pictures keep their size.

    Args:
        image: uint8; (height, width) or (height, width, 1) grey, (…, 3) BGR or (…, 4) BGRA, of which alpha is dropped.
        capture: greatest width in pixels and JPEG quality.

    Raises:
        BrokenFrame: the array has another type or shape.
    """
    picture = _shrink(_to_bgr(image), capture)
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, capture.quality])
    if not done:
        raise BrokenFrame(f"OpenCV cannot write a picture of {picture.shape[1]}x{picture.shape[0]} pixels as JPEG")
    return Encoded(jpeg.tobytes(), width=picture.shape[1], height=picture.shape[0])


def published_size(width: int, height: int, capture: Capture) -> tuple[int, int]:
    """Width and height in pixels of the frame that `encode` makes of a picture of this size."""
    if width <= capture.width:
        return width, height
    return capture.width, max(1, round(height * capture.width / width))


def decode(jpeg: bytes) -> Image:
    """The picture of a published frame.

    Raises:
        BrokenFrame: it is empty, not a JPEG, cut off, or damaged beyond reading.
    """
    if not jpeg:
        raise BrokenFrame("the frame is empty: it holds no bytes")
    if not jpeg.startswith(_JPEG_START):
        raise BrokenFrame(f"the frame is not a JPEG: it begins with {jpeg[:4].hex()} instead of ffd8")
    if not jpeg.rstrip(b"\0").endswith(_JPEG_END):
        # OpenCV would paint the missing part grey without an error, and a person there would be lost.
        raise BrokenFrame(f"the JPEG is cut off: its end mark is missing after {len(jpeg)} bytes")
    claimed = _claimed_pixels(jpeg)
    if claimed > MAX_PIXELS:
        raise BrokenFrame(f"the JPEG claims {claimed} pixels, more than the {MAX_PIXELS} that are read")
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise BrokenFrame(f"the JPEG cannot be decoded: {error.err or error}") from error
    # By its type stub imdecode always returns a picture; in fact it returns None for data that it cannot read.
    if cast("object", image) is None:
        raise BrokenFrame("the JPEG is damaged: OpenCV finds no picture in it")
    return cast("Image", image)


def _to_bgr(image: NDArray[np.uint8]) -> Image:
    if image.dtype != np.uint8 or image.size == 0 or image.ndim not in (2, 3):
        raise BrokenFrame(f"an array of {image.dtype}{list(image.shape)} is no picture: uint8 (height, width, 3) is")
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return image
    if channels == 1:
        return cast("Image", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    if channels == 4:
        return cast("Image", cv2.cvtColor(image, cv2.COLOR_BGRA2BGR))
    raise BrokenFrame(f"a picture of {channels} channels cannot be read: 1 (grey), 3 (BGR) or 4 (BGRA) can")


def _shrink(image: Image, capture: Capture) -> Image:
    height, width = image.shape[:2]
    size = published_size(width, height, capture)
    if size == (width, height):
        return image
    # INTER_AREA averages the pixels that it merges, so a thin person does not flicker between two columns.
    return cast("Image", cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _claimed_pixels(jpeg: bytes) -> int:
    """Width × height by the JPEG's frame header (SOFn, ITU T.81 B.2.2); 0 where it has none."""
    at = 2
    while at + 9 < len(jpeg) and jpeg[at] == 0xFF:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(jpeg[at + 5 : at + 7]) * int.from_bytes(jpeg[at + 7 : at + 9])
        at += 2 + length
    return 0
