"""Interlacing of a video: compares the marks of its frames with the pictures themselves (FFmpeg's idet).

Recorders set wrong marks of every kind: progressive pictures as interlaced, fields as whole pictures, the second field
as the first. Pictures show their fields only where something moves, so that most frames are undecided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as NoMore
from av.filter import Graph
from numpy.typing import NDArray

from services.ingest.decoding.picture import filter_graph, layout_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

ENOUGH: Final = 40
"""Decided frames after which no more are looked at."""
_FEWEST: Final = 12
"""Decided frames below which nothing is concluded."""
_CLEAR: Final = 0.9
"""Share of the decided frames that must agree."""


class Fields(StrEnum):
    """The structure of a picture: whole, or of two fields in one of two orders."""

    PROGRESSIVE = "progressive"
    TOP_FIRST = "interlaced, top field first"
    BOTTOM_FIRST = "interlaced, bottom field first"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The fields of a video by its marks and by its pictures.

    Attributes:
        marked: by the marks of most frames.
        shown: by nearly all pictures in which something moves; None where these are too few, or do not agree.
        decided: number of pictures in which something moves.
    """

    marked: Fields
    shown: Fields | None
    decided: int

    @property
    def is_wrong(self) -> bool:
        """Tell whether the marks are clearly wrong."""
        return self.shown is not None and self.shown is not self.marked


_SHOWN: Final = {"tff": Fields.TOP_FIRST, "bff": Fields.BOTTOM_FIRST, "progressive": Fields.PROGRESSIVE}


def judge(frames: Iterable[VideoFrame]) -> Judgement | None:
    """Judge consecutive frames of one video; None where there are none. Frames are taken until enough are decided."""
    marked: Counter[Fields] = Counter()
    shown: Counter[Fields] = Counter()
    detector: Graph | None = None
    layout: tuple[int, int, str] | None = None
    for frame in frames:
        marked[_mark(frame)] += 1
        if layout != layout_of(frame):
            layout = layout_of(frame)
            detector = filter_graph(frame, idet=None)
        assert detector is not None
        for analysed in _through(detector, frame):
            if kind := _SHOWN.get(analysed.metadata.get("lavfi.idet.multiple.current_frame", "")):
                shown[kind] += 1
        if shown.total() >= ENOUGH:
            break
    if not marked:
        return None
    decided = shown.total()
    agreed = [kind for kind, count in shown.items() if decided >= _FEWEST and count >= _CLEAR * decided]
    return Judgement(marked.most_common(1)[0][0], agreed[0] if agreed else None, decided)


def _mark(frame: VideoFrame) -> Fields:
    """The fields by a frame's mark. PyAV does not give their order, but FFmpeg's `separatefields` yields them in it."""
    if not frame.interlaced_frame:
        return Fields.PROGRESSIVE
    fields = _through(filter_graph(frame, separatefields=None), frame)
    lines = _luma(frame)
    first = _luma(fields[0])[: len(lines) // 2, : lines.shape[1]]  # a field holds every second line of the frame
    top, bottom = (np.abs(lines[odd::2][: len(first)].astype(int) - first).sum() for odd in (0, 1))
    return Fields.TOP_FIRST if top <= bottom else Fields.BOTTOM_FIRST


def _luma(frame: VideoFrame) -> NDArray[np.uint8]:
    """The first plane of a frame, (height, bytes of a line) uint8."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]


def _through(graph: Graph, frame: VideoFrame) -> list[VideoFrame]:
    graph.push(frame)
    frames: list[VideoFrame] = []
    with suppress(NothingYet, NoMore):
        while True:
            frames.append(cast("VideoFrame", graph.pull()))
    return frames
