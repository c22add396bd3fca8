"""`metrica eval --sweep`: the settings that are tried, as they are written on the command line.

    --sweep fps=1,2,5,10,25 --sweep detector=person-detection-0200,yolox_nano

Each `--sweep` is a dimension; of several, all combinations are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import product
from typing import Any

from pydantic import JsonValue

from contracts.spec import CameraSpec, Capture
from services.cli.console.errors import Refused

Value = str | int | float | Fraction


class Dimension(StrEnum):
    """What can be swept."""

    FPS = "fps"
    """Frames looked at per second."""
    RATE = "rate"
    """The same as a part of the clip's own frame rate, for clips of several."""
    WIDTH = "width"
    """Greatest width of the frames, pixels."""
    QUALITY = "quality"
    """JPEG quality of the frames."""
    DETECTOR = "detector"


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to count a clip; the defaults are a camera's own.

    Attributes:
        detector: a model's name.
        fps: frames to look at per second, None for the clip's own rate.
        rate: the part of the clip's own rate that is looked at.
        width: greatest width of the frames, pixels.
        quality: JPEG quality, 30 … 100.
    """

    detector: str = CameraSpec.model_fields["model"].default
    fps: float | None = None
    rate: Fraction = Fraction(1)
    width: int = Capture.model_fields["width"].default
    quality: int = Capture.model_fields["quality"].default

    def capture(self, own_fps: float) -> Capture:
        """How the frames of a clip are taken, `own_fps` being its rate."""
        fps = self.fps if self.rate == 1 else float(Fraction(own_fps) * self.rate)
        return Capture(fps=fps, width=self.width, quality=self.quality)

    def told(self, dimension: Dimension) -> str:
        """Its place in a dimension, for people to read."""
        return told(getattr(self, dimension))

    def as_json(self) -> dict[str, JsonValue]:
        """The setting's part of an object in `--json`."""
        return {
            "detector": self.detector,
            "fps": self.fps,
            "rate": str(self.rate),
            "width": self.width,
            "quality": self.quality,
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """The values to try, by dimension, in the order in which they were given."""

    values: dict[Dimension, tuple[Value, ...]]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Sweep:
        """Read the `--sweep` options.

        Raises:
            Refused: what was wrong with which.
        """
        values: dict[Dimension, tuple[Value, ...]] = {}
        for text in texts:
            name, _, listed = text.partition("=")
            if name not in set(Dimension) or not listed:
                known = ", ".join(Dimension)
                raise Refused(f"--sweep {text}: give one of {known} and its values, as in --sweep fps=1,5,25")
            dimension = Dimension(name)
            if dimension in values:
                raise Refused(f"--sweep {text}: {name} is swept twice; list all its values in one option")
            values[dimension] = tuple(_read(dimension, part.strip(), text) for part in listed.split(","))
            if len(set(values[dimension])) < len(values[dimension]):
                raise Refused(f"--sweep {text}: a value is there twice")
        if {Dimension.FPS, Dimension.RATE} <= values.keys():
            raise Refused("--sweep fps and --sweep rate are the same thing in two measures: give one of them")
        return cls(values)

    def refuse(self, *, detector: str | None, fps: float | None) -> None:
        """Refuse single values, where given, of what is swept."""
        if detector is not None and Dimension.DETECTOR in self.values:
            raise Refused("--detector and --sweep detector: give one of them")
        if fps is not None and (swept := {Dimension.FPS, Dimension.RATE} & self.values.keys()):
            raise Refused(f"--fps and --sweep {min(swept)}: give one of them")

    def settings(self, base: Setting) -> list[Setting]:
        """All combinations of the values; what is not swept is as in `base`."""
        tried = []
        for chosen in product(*self.values.values()):
            fields: dict[str, Any] = {str(name): value for name, value in zip(self.values, chosen, strict=True)}
            tried.append(replace(base, **fields))
        return tried


def told(value: Value) -> str:
    """A value as people write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(dimension: Dimension, text: str, option: str) -> Value:
    wanted, read = _READERS[dimension]
    try:
        return read(text)
    except (ValueError, ZeroDivisionError):
        raise Refused(f"--sweep {option}: {text or 'nothing'} is no {dimension}: give {wanted}") from None


def _fps(text: str) -> float:
    fps = float(text)
    Capture(fps=fps)
    return fps


def _rate(text: str) -> Fraction:
    rate = Fraction(text)
    if not 0 < rate <= 1:
        raise ValueError(text)
    return rate


def _detector(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


_READERS: dict[Dimension, tuple[str, Callable[[str], Value]]] = {
    Dimension.FPS: ("frames per second, up to 120", _fps),
    Dimension.RATE: ("parts of the clip's own frame rate, as in --sweep rate=1,1/2,1/4", _rate),
    Dimension.WIDTH: ("pixels from 64 to 4096", lambda text: Capture(width=int(text)).width),
    Dimension.QUALITY: ("a JPEG quality from 30 to 100", lambda text: Capture(quality=int(text)).quality),
    Dimension.DETECTOR: ("the names of models", _detector),
}
