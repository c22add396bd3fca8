"""Pictures from decoded frames: whole ones of interlaced fields, in the range of a screen, upright, BGR."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as NoMore
from av.filter import Graph
from numpy.typing import NDArray

from services.kit.codec import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_FORMAT = "bgr24"
_MILLISECOND = Fraction(1, 1000)
PQ, HLG = 16, 18
"""Transfer characteristics (ITU-T H.273, table 3): SMPTE ST 2084, and ARIB STD-B67."""
_WHITE = 203.0
"""cd/m² of diffuse white in HDR pictures (ITU-R BT.2408)."""
_SHOULDER = 0.6
"""Part of diffuse white above which light is pressed together."""


class Deinterlacer:
    """Makes whole pictures of two fields each, by FFmpeg's bwdif; a progressive frame among them passes untouched.

    It looks at the frames before and after: each comes out when the next one goes in.
    """

    def __init__(self, frame: VideoFrame) -> None:
        """Prepare for frames of the size and format of one of them."""
        self._form = _form(frame)
        self._time_base = frame.time_base
        self._graph = _graph(frame, bwdif="mode=send_frame:deint=interlaced")

    def suits(self, frame: VideoFrame) -> bool:
        """Tell whether a frame has the size and format that this was made for."""
        return _form(frame) == self._form

    def pass_through(self, frame: VideoFrame | None) -> list[VideoFrame]:
        """The frames that are whole now. None ends them: what was kept back comes out."""
        self._graph.push(frame)
        found: list[VideoFrame] = []
        while True:
            try:
                whole = cast("VideoFrame", self._graph.pull())
            except (NothingYet, NoMore):
                return found
            # The filter halves the unit of time, which all frames of a stream have in common here. FFmpeg's own settb
            # would make a time of the mark for none.
            whole.pts, whole.time_base = None if whole.pts is None else whole.pts // 2, self._time_base
            found.append(whole)


class Converter:
    """Turns frames into pictures.

    A graph keeps the memory of its pictures: PyAV's own conversion takes new pages from the kernel for each, which
    costs more than converting does.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def picture(self, frame: VideoFrame) -> Image:
        """A frame as an upright picture.

        Raises:
            FFmpegError: it cannot be converted.
        """
        form = _form(frame)
        if self._graph is None or self._form != form:
            self._graph = _graph(frame, scale="flags=bilinear", format=f"pix_fmts={_FORMAT}")
            self._form = form
        self._graph.push(frame)
        converted = cast("VideoFrame", self._graph.pull())
        # What is in the wanted format already comes back as it is, and is the decoder's own, who may need it again.
        image = converted.to_ndarray() if form[2] == _FORMAT else _view(converted)
        curve = _curve(int(frame.color_trc))
        if curve is not None:
            cv2.LUT(image, curve, dst=image)
        turns = round(frame.rotation / 90) % 4
        return cast("Image", np.ascontiguousarray(np.rot90(image, turns)) if turns else image)


def _graph(frame: VideoFrame, **filters: str) -> Graph:
    """A chain of filters, by name, for frames like this one. One thread: the detector needs the other cores."""
    graph = Graph()
    graph.threads = 1
    base = frame.time_base or _MILLISECOND
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=base)
    for name, settings in (*filters.items(), ("buffersink", None)):
        following = graph.add(name, settings)
        last.link_to(following)
        last = following
    graph.configure()
    return graph


def _view(frame: VideoFrame) -> Image:
    """A picture's memory as an array, which keeps it; rows may have a few unused bytes between them."""
    plane, shape = frame.planes[0], (frame.height, frame.width, 3)
    return np.ndarray(shape, np.uint8, buffer=memoryview(plane), strides=(plane.line_size, 3, 1))


def _form(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


@cache
def _curve(transfer: int) -> NDArray[np.uint8] | None:
    """Table from the 8-bit values of an HDR picture to those of a screen's; None where nothing is to be changed."""
    if transfer not in (PQ, HLG):
        return None
    value = np.arange(256) / 255.0
    light = _pq_light(value) if transfer == PQ else _hlg_light(value)
    # What is darker than a light grey stays as it is; an exponential shoulder presses highlights together above it.
    relative = light / _WHITE
    room = 1.0 - _SHOULDER
    pressed = 1.0 - room * np.exp(-np.maximum(relative - _SHOULDER, 0.0) / room)
    screen = np.where(relative <= _SHOULDER, relative, pressed) ** (1 / 2.4)  # ITU-R BT.1886
    return np.round(255.0 * screen).astype(np.uint8)


def _pq_light(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² (SMPTE ST 2084, its EOTF)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = value ** (1 / m2)
    light: NDArray[np.float64] = 10000.0 * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)
    return light


def _hlg_light(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² on a screen of 1000 cd/m² (ITU-R BT.2100: inverse OETF, then OOTF with gamma 1.2)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    light: NDArray[np.float64] = 1000.0 * scene**1.2
    return light
