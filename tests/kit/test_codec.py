"""The rules of the frame codec."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from contracts.spec import Capture
from services.kit.codec import BrokenFrame, Image, decode, encode


def picture(width: int, height: int) -> Image:
    rng = np.random.default_rng(7)
    small = rng.integers(0, 255, (max(height // 16, 1), max(width // 16, 1), 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize(
    ("source", "limit", "published"),
    [
        pytest.param((640, 360), 960, (640, 360), id="a small picture is never enlarged"),
        pytest.param((960, 540), 960, (960, 540), id="a picture of just the size stays"),
        pytest.param((1920, 1080), 960, (960, 540), id="a large one shrinks and keeps its shape"),
        pytest.param((1281, 723), 640, (640, 361), id="odd sizes are rounded"),
        pytest.param((4096, 2), 64, (64, 1), id="nothing shrinks to no height"),
    ],
)
def test_size_of_a_frame(source: tuple[int, int], limit: int, published: tuple[int, int]) -> None:
    frame = encode(picture(*source), Capture(width=limit))

    assert (frame.width, frame.height) == published
    assert decode(frame.jpeg).shape == (published[1], published[0], 3)


def test_pixels_survive_nearly() -> None:
    image = picture(320, 240)

    seen = decode(encode(image, Capture(quality=95)).jpeg)

    assert np.abs(seen.astype(int) - image).mean() < 2


def test_same_picture_gives_same_bytes() -> None:
    assert encode(picture(640, 360), Capture()) == encode(picture(640, 360), Capture())


def test_grey_and_transparent_pictures_become_bgr() -> None:
    bgr = picture(64, 64)
    grey = np.ascontiguousarray(bgr[:, :, 0])
    bgra = np.dstack([bgr, np.full((64, 64), 9, np.uint8)])

    assert encode(bgra, Capture()) == encode(bgr, Capture())
    assert encode(grey[:, :, None], Capture()) == encode(grey, Capture())
    assert decode(encode(grey, Capture()).jpeg).shape == (64, 64, 3)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.zeros((0, 0, 3), np.uint8), id="empty"),
        pytest.param(np.zeros((8, 8, 2), np.uint8), id="two channels"),
        pytest.param(np.zeros((8,), np.uint8), id="one row of numbers"),
        pytest.param(np.zeros((8, 8, 3), np.float32), id="not bytes"),
    ],
)
def test_what_is_no_picture_is_refused(array: Image) -> None:
    with pytest.raises(BrokenFrame):
        encode(array, Capture())


WHOLE = encode(picture(640, 360), Capture()).jpeg


@pytest.mark.parametrize(
    ("jpeg", "reason"),
    [
        pytest.param(b"", "empty", id="no bytes"),
        pytest.param(b"\x89PNG\r\n", "not a JPEG: it begins with 89504e47", id="another format"),
        pytest.param(WHOLE[: len(WHOLE) // 2], "cut off", id="half a frame"),
        pytest.param(b"\xff\xd8\xff\xd9", "damaged", id="a frame with nothing in it"),
        pytest.param(WHOLE[:2] + bytes(600) + WHOLE[602:], "damaged", id="headers overwritten"),
        pytest.param(
            WHOLE.replace(bytes.fromhex("0168 0280"), bytes.fromhex("ffff ffff"), 1),
            "claims 4294836225 pixels",
            id="a size that would eat the memory",
        ),
    ],
)
def test_broken_frame_says_what_is_wrong(jpeg: bytes, reason: str) -> None:
    with pytest.raises(BrokenFrame, match=reason) as caught:
        decode(jpeg)

    assert reason in caught.value.reason


def test_padding_after_the_end_is_no_damage() -> None:
    assert decode(WHOLE + bytes(8)).shape == (360, 640, 3)
