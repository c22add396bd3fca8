"""The fields that a video's pictures are made of: by its marks, and by the pictures themselves (FFmpeg's idet).

Recorders mark wrongly in every way: progressive pictures as interlaced, fields as whole pictures, the second field as
the first. The pictures tell only where something moves, so that most frames say nothing.
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

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

ENOUGH: Final = 40
"""Frames that say something, after which no more are looked at."""
_FEWEST: Final = 12
_CLEAR: Final = 0.9
"""Part of the frames that say something which have to agree."""


class Fields(StrEnum):
    """How a picture is made."""

    PROGRESSIVE = "progressive"
    TOP_FIRST = "interlaced, top field first"
    BOTTOM_FIRST = "interlaced, bottom field first"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a video says of its fields, and what its pictures show.

    Attributes:
        marked: what most of the frames say.
        shown: what nearly all pictures in which something moves show; None where they are too few, or do not agree.
        told: how many those are.
    """

    marked: Fields
    shown: Fields | None
    told: int

    @property
    def is_wrong(self) -> bool:
        """Tell whether the marks are clearly wrong."""
        return self.shown is not None and self.shown is not self.marked


_SHOWN: Final = {"tff": Fields.TOP_FIRST, "bff": Fields.BOTTOM_FIRST, "progressive": Fields.PROGRESSIVE}


def judge(frames: Iterable[VideoFrame]) -> Judgement | None:
    """Judge frames that follow one another, of one size; None where there are none. It takes no more than it needs."""
    marked: Counter[Fields] = Counter()
    shown: Counter[Fields] = Counter()
    detector: Graph | None = None
    form: tuple[int, int, str] | None = None
    for frame in frames:
        marked[_mark(frame)] += 1
        if form != (frame.width, frame.height, frame.format.name):
            form = frame.width, frame.height, frame.format.name
            detector = _graph(frame, "idet")
        assert detector is not None
        for seen in _through(detector, frame):
            if kind := _SHOWN.get(seen.metadata.get("lavfi.idet.multiple.current_frame", "")):
                shown[kind] += 1
        if shown.total() >= ENOUGH:
            break
    if not marked:
        return None
    told = shown.total()
    agreed = [kind for kind, count in shown.items() if told >= _FEWEST and count >= _CLEAR * told]
    return Judgement(marked.most_common(1)[0][0], agreed[0] if agreed else None, told)


def _mark(frame: VideoFrame) -> Fields:
    """What a frame says of itself. PyAV does not tell which field is first: FFmpeg takes them apart in that order."""
    if not frame.interlaced_frame:
        return Fields.PROGRESSIVE
    fields = _through(_graph(frame, "separatefields"), frame)
    lines = _luma(frame)
    first = _luma(fields[0])[: len(lines) // 2, : lines.shape[1]]  # its lines are two of the frame's apart
    top, bottom = (np.abs(lines[odd::2][: len(first)].astype(int) - first).sum() for odd in (0, 1))
    return Fields.TOP_FIRST if top <= bottom else Fields.BOTTOM_FIRST


def _luma(frame: VideoFrame) -> NDArray[np.uint8]:
    """(height, bytes of a line) the first plane."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]


def _graph(frame: VideoFrame, name: str) -> Graph:
    graph = Graph()
    entry = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    step, end = graph.add(name), graph.add("buffersink")
    entry.link_to(step)
    step.link_to(end)
    graph.configure()
    return graph


def _through(graph: Graph, frame: VideoFrame) -> list[VideoFrame]:
    graph.push(frame)
    found: list[VideoFrame] = []
    with suppress(NothingYet, NoMore):
        while True:
            found.append(cast("VideoFrame", graph.pull()))
    return found
