"""Detectors that sleep instead of computing: what is left of a frame's cost is the path's own. For METRICA_BACKENDS."""

from __future__ import annotations

import time

from contracts.events import Model
from services.detector.backends.protocol import NOBODY, Found, Image


class Sleeper:
    """Looks at each frame for so many seconds, and finds nobody."""

    stateful = False

    def __init__(self, seconds: float, name: str = "sleeper") -> None:
        self._seconds, self._name = seconds, name

    @property
    def model(self) -> Model:
        """There are no weights."""
        return Model(name=self._name)

    def detect(self, frame: Image, stream: str) -> Found:
        """Sleep."""
        del frame, stream
        time.sleep(self._seconds)
        return NOBODY


def not_at_all() -> Sleeper:
    """A detector without inference: the cost of all else is measured."""
    return Sleeper(0)


def of_another_name() -> Sleeper:
    """As good as the one that sleeps not at all."""
    return Sleeper(0, "other")


def for_40_ms() -> Sleeper:
    """As a small network takes on a core."""
    return Sleeper(0.04)


def for_100_ms() -> Sleeper:
    """Too slow for more than ten frames a second."""
    return Sleeper(0.1)
