"""Conversion of decoded frames to pictures: deinterlaced, tone-mapped from HDR, upright, BGR."""

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
"""Part of diffuse white above which light is compressed."""


class Deinterlacer:
    """Deinterlaces frames by FFmpeg's bwdif; a progressive frame among them passes unchanged.

    The filter looks at the frames before and after, so that a frame comes out when the next one goes in.
    """

    def __init__(self, frame: VideoFrame) -> None:
        """Prepare for frames of this one's size and format."""
        self._layout = layout_of(frame)
        self._time_base = frame.time_base
        self._graph = filter_graph(frame, bwdif="mode=send_frame:deint=interlaced")

    def suits(self, frame: VideoFrame) -> bool:
        """Tell whether a frame has the size and format that the filter was made for."""
        return layout_of(frame) == self._layout

    def pass_through(self, frame: VideoFrame | None) -> list[VideoFrame]:
        """Put a frame in, and return the frames that are ready. None ends the stream, and returns the delayed ones."""
        self._graph.push(frame)
        frames: list[VideoFrame] = []
        while True:
            try:
                whole = cast("VideoFrame", self._graph.pull())
            except (NothingYet, NoMore):
                return frames
            # bwdif halves the time base, and all frames of a stream must have the same. FFmpeg's settb filter would
            # take the mark for "no time" for a time.
            whole.pts, whole.time_base = None if whole.pts is None else whole.pts // 2, self._time_base
            frames.append(whole)


class Converter:
    """Converts frames to pictures.

    A filter graph reuses the memory of its pictures. PyAV's own conversion takes new pages from the kernel for each
    picture, which costs more than the conversion itself.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._layout: tuple[int, int, str] | None = None

    def picture(self, frame: VideoFrame) -> Image:
        """Convert a frame to an upright picture, (height, width, 3) uint8, BGR.

        Raises:
            FFmpegError: it cannot be converted.
        """
        layout = layout_of(frame)
        if self._graph is None or self._layout != layout:
            self._graph = filter_graph(frame, scale="flags=bilinear", format=f"pix_fmts={_FORMAT}")
            self._layout = layout
        self._graph.push(frame)
        converted = cast("VideoFrame", self._graph.pull())
        # A frame that is in this format already comes back as it is, in memory that the decoder may use again: copy it.
        image = converted.to_ndarray() if layout[2] == _FORMAT else _view(converted)
        curve = _curve(int(frame.color_trc))
        if curve is not None:
            cv2.LUT(image, curve, dst=image)
        turns = round(frame.rotation / 90) % 4
        return cast("Image", np.ascontiguousarray(np.rot90(image, turns)) if turns else image)


def filter_graph(frame: VideoFrame, **filters: str | None) -> Graph:
    """Chain filters for frames of this one's size and format. One thread: the detector needs the other cores.

    Args:
        frame: an example.
        filters: settings of each filter, by its name, in order; None for its defaults.
    """
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
    """View a frame's memory as an array, which keeps it alive; rows may have a few unused bytes between them."""
    plane, shape = frame.planes[0], (frame.height, frame.width, 3)
    return np.ndarray(shape, np.uint8, buffer=memoryview(plane), strides=(plane.line_size, 3, 1))


def layout_of(frame: VideoFrame) -> tuple[int, int, str]:
    """Width and height in pixels, and pixel format."""
    return frame.width, frame.height, frame.format.name


@cache
def _curve(transfer: int) -> NDArray[np.uint8] | None:
    """The table from the 8-bit values of an HDR picture to those of SDR, (256,) uint8; None for SDR.

    Args:
        transfer: transfer characteristics, as ITU-T H.273 numbers them.
    """
    if transfer not in (PQ, HLG):
        return None
    value = np.arange(256) / 255.0
    light = _pq_light(value) if transfer == PQ else _hlg_light(value)
    # Light below a light grey stays as it is; above it, an exponential shoulder compresses highlights.
    relative = light / _WHITE
    room = 1.0 - _SHOULDER
    compressed = 1.0 - room * np.exp(-np.maximum(relative - _SHOULDER, 0.0) / room)
    screen = np.where(relative <= _SHOULDER, relative, compressed) ** (1 / 2.4)  # ITU-R BT.1886
    return np.round(255.0 * screen).astype(np.uint8)


def _pq_light(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² by the EOTF of SMPTE ST 2084."""
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
