"""Detectors that stand in for networks: what they find, and when they break, is told by the frame's brightness."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from contracts.events import Model
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.spec import Capture
from services.detector.backends.protocol import Found, Image, ModelUnavailable
from services.kit.codec import encode

WIDTH, HEIGHT = 64, 48
BREAKS = 250
"""Frames that are brighter break the stand-in."""


class StandIn:
    """Finds one person, as wide as the frame is bright."""

    model = Model(name="stand-in")

    def __init__(self, *, stateful: bool = False, before: Callable[[int], None] = lambda _: None) -> None:
        self.stateful = stateful
        self.seen: list[int] = []
        self._before = before

    def detect(self, frame: Image, stream: str) -> Found:
        brightness = round(float(frame.mean()))
        self.seen.append(brightness)
        self._before(brightness)
        if brightness > BREAKS:
            raise RuntimeError("this frame breaks me")
        return Found(np.array([[0, 0, brightness, HEIGHT]], np.float32), np.array([0.9], np.float32))


class Together(StandIn):
    """Looks at up to so many frames at once; one that breaks it breaks them all."""

    def __init__(self, batch: int, before: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(before=before)
        self.batch = batch
        self.batches: list[list[int]] = []

    def detect_batch(self, frames: Sequence[Image]) -> list[Found]:
        self.batches.append([round(float(frame.mean())) for frame in frames])
        return [self.detect(frame, "") for frame in frames]


class Opened:
    """Stateful stand-ins that `METRICA_BACKENDS` can name, and who of them has seen what."""

    all: list[StandIn] = []  # noqa: RUF012  # filled by those who open them
    lock = threading.Lock()


class Tries:
    """The number of tries to open a model that is not there."""

    count = 0


def unavailable() -> StandIn:
    Tries.count += 1
    raise ModelUnavailable("Its file is missing: put it there.")


def stateful() -> StandIn:
    with Opened.lock:
        Opened.all.append(StandIn(stateful=True))
        return Opened.all[-1]


def jpeg(brightness: int) -> bytes:
    return encode(np.full((HEIGHT, WIDTH, 3), brightness, np.uint8), Capture()).jpeg


def header(
    seq: int, *, camera: str = "door", policy: Policy = Policy.EVERY, end: EndReason | None = None
) -> FrameHeader:
    return FrameHeader(
        run="live",
        store="shop",
        camera=camera,
        session="s",
        seq=seq,
        previous=seq - 1 if seq else None,
        captured_at=1_764_000_000_000_000_000 + seq * 100_000_000,
        width=WIDTH,
        height=HEIGHT,
        spec_revision=1,
        policy=policy,
        end=end,
    )
