"""Frames of a source, pictures and all, for tests that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.ingest.source import FrameSource, decimate
from services.kit.codec import Image


@dataclass(frozen=True, slots=True)
class Grabbed:
    """A frame that was kept.

    Attributes:
        image: (height, width, 3) uint8, BGR.
        pts_ns: time since the source's first frame.
        index: rank among the frames kept, from 0.
    """

    image: Image
    pts_ns: int
    index: int


def frames(source: FrameSource, fps: float | None) -> Iterator[Grabbed]:
    """Read a source at a target rate to its end; see `decimate`."""
    for index, pts_ns in decimate(source, fps):
        yield Grabbed(source.retrieve(), pts_ns, index)
