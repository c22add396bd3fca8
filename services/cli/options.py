"""How options are written on the command line, and what they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from contracts.identity import to_ns
from services.cli.errors import Refused

Points = tuple[float, float, float, float]


class InSide(StrEnum):
    """The side of the line on which an IN ends."""

    LEFT = "left"
    RIGHT = "right"


class AnchorPoint(StrEnum):
    """The point of a person's box that has to cross the line."""

    CENTER = "center"
    FOOT = "foot"


def points(text: str) -> Points:
    """The two points of `--line x1,y1,x2,y2`.

    Raises:
        Refused: it is not four numbers.
    """
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        raise Refused(f"--line {text}: give four numbers from 0 to 1, as in --line 0.5,0,0.5,1") from None
    return x1, y1, x2, y2


def start_ns(text: str) -> int:
    """The moment of `--start`, ns UTC.

    Raises:
        Refused: it is no moment, or has no time zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        return to_ns(moment)
    except ValueError:
        raise Refused(f"--start {text}: give a moment with its time zone, as in 2026-11-23T09:00:00+01:00") from None


@dataclass(frozen=True, slots=True)
class ModelPlaces:
    """Where models are found.

    Attributes:
        folders: searched before anything is downloaded (METRICA_MODELS).
        cache: where downloads are kept (METRICA_CACHE).
    """

    folders: tuple[Path, ...]
    cache: Path

    @classmethod
    def of_environment(cls) -> ModelPlaces:
        """As the environment says."""
        folders = tuple(Path(part) for part in os.environ.get("METRICA_MODELS", "").split(os.pathsep) if part)
        return cls(folders, Path(os.environ.get("METRICA_CACHE") or Path.home() / ".cache" / "metrica"))


def threads_of_environment() -> int | None:
    """Threads that a detector may use at most, as METRICA_THREADS says to the services too; None for all.

    Raises:
        Refused: it is no number of threads.
    """
    text = os.environ.get("METRICA_THREADS") or None
    if text is not None and (not text.isdecimal() or int(text) < 1):
        raise Refused(f"METRICA_THREADS={text}: give a whole number from 1 up")
    return None if text is None else int(text)
