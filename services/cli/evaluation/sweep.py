"""`metrica eval --sweep`: the settings to try, parsed from the command line.

    --sweep fps=1,2,5,10,25 --sweep detector=person-detection-0200,yolox_nano

Each `--sweep` is a dimension; with several, all combinations are tried.
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
from services.cli.console.errors import CommandError

Value = str | int | float | Fraction


class Dimension(StrEnum):
    """A setting that can be varied."""

    FPS = "fps"
    """Target frames per second."""
    RATE = "rate"
    """The same as a fraction of the clip's own frame rate, for clips of different rates."""
    WIDTH = "width"
    """Greatest width of the frames, pixels."""
    QUALITY = "quality"
    """JPEG quality of the frames."""
    DETECTOR = "detector"


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings of one count; the defaults are those of a camera.

    Attributes:
        detector: name of the model.
        fps: target frames per second, None for the clip's own rate.
        rate: fraction of the clip's own rate to use.
        width: greatest width of the frames, pixels.
        quality: JPEG quality, 30 … 100.
    """

    detector: str = CameraSpec.model_fields["model"].default
    fps: float | None = None
    rate: Fraction = Fraction(1)
    width: int = Capture.model_fields["width"].default
    quality: int = Capture.model_fields["quality"].default

    def capture(self, own_fps: float) -> Capture:
        """Return the capture settings for a clip; `own_fps` is its frame rate."""
        fps = self.fps if self.rate == 1 else float(Fraction(own_fps) * self.rate)
        return Capture(fps=fps, width=self.width, quality=self.quality)

    def text(self, dimension: Dimension) -> str:
        """Format its value in a dimension."""
        return text_of(getattr(self, dimension))

    def as_json(self) -> dict[str, JsonValue]:
        """Return the setting's fields for `--json`."""
        return {
            "detector": self.detector,
            "fps": self.fps,
            "rate": str(self.rate),
            "width": self.width,
            "quality": self.quality,
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """The values to try, by dimension, in the given order."""

    values: dict[Dimension, tuple[Value, ...]]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Sweep:
        """Parse the `--sweep` options.

        Raises:
            CommandError: an option is invalid; the text gives the reason.
        """
        values: dict[Dimension, tuple[Value, ...]] = {}
        for text in texts:
            name, _, listed = text.partition("=")
            if name not in set(Dimension) or not listed:
                known = ", ".join(Dimension)
                raise CommandError(f"--sweep {text}: give one of {known} and its values, as in --sweep fps=1,5,25")
            dimension = Dimension(name)
            if dimension in values:
                raise CommandError(f"--sweep {text}: {name} is swept twice; list all its values in one option")
            values[dimension] = tuple(_parse(dimension, part.strip(), text) for part in listed.split(","))
            if len(set(values[dimension])) < len(values[dimension]):
                raise CommandError(f"--sweep {text}: a value is there twice")
        if {Dimension.FPS, Dimension.RATE} <= values.keys():
            raise CommandError("--sweep fps and --sweep rate are the same thing in two measures: give one of them")
        return cls(values)

    def refuse(self, *, detector: str | None, fps: float | None) -> None:
        """Refuse single values for dimensions that are varied."""
        if detector is not None and Dimension.DETECTOR in self.values:
            raise CommandError("--detector and --sweep detector: give one of them")
        if fps is not None and (swept := {Dimension.FPS, Dimension.RATE} & self.values.keys()):
            raise CommandError(f"--fps and --sweep {min(swept)}: give one of them")

    def settings(self, base: Setting) -> list[Setting]:
        """List all combinations of the values; other settings are those of `base`."""
        combinations = []
        for chosen in product(*self.values.values()):
            fields: dict[str, Any] = {str(name): value for name, value in zip(self.values, chosen, strict=True)}
            combinations.append(replace(base, **fields))
        return combinations


def text_of(value: Value) -> str:
    """Format a value."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parse(dimension: Dimension, text: str, option: str) -> Value:
    expected, parse = _PARSERS[dimension]
    try:
        return parse(text)
    except (ValueError, ZeroDivisionError):
        raise CommandError(f"--sweep {option}: {text or 'nothing'} is no {dimension}: give {expected}") from None


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


_PARSERS: dict[Dimension, tuple[str, Callable[[str], Value]]] = {
    Dimension.FPS: ("frames per second, up to 120", _fps),
    Dimension.RATE: ("parts of the clip's own frame rate, as in --sweep rate=1,1/2,1/4", _rate),
    Dimension.WIDTH: ("pixels from 64 to 4096", lambda text: Capture(width=int(text)).width),
    Dimension.QUALITY: ("a JPEG quality from 30 to 100", lambda text: Capture(quality=int(text)).quality),
    Dimension.DETECTOR: ("the names of models", _detector),
}
