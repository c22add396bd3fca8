"""Findings on the camera's picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.cli.diagnosis.findings import Code, Finding, Severity
from services.cli.diagnosis.view import ViewFigures

BLACK: Final = 8.0
BLACK_HIGHLIGHTS: Final = 20.0
DARK: Final = 38.0
"""Mean grey level of 255. A shop by day has 90 to 140, one by its night lights 40."""
FLAT: Final = 45.0
"""Grey levels between the darkest and the lightest twentieth: fog, a dirty lens, or the sun in it."""
STILL_SECONDS: Final = 8.0
"""Seconds without any change after which the picture is frozen: a sensor's noise changes each frame a little."""
MOVED: Final = 0.02
JOLTS: Final = 0.15


def about_view(view: ViewFigures, *, people: int) -> Iterator[Finding]:
    """Yield the findings on a view. `people` is the number of people tracked in it."""
    yield from _light(view)
    if view.still_seconds >= STILL_SECONDS:
        yield Finding(
            Code.FROZEN,
            Severity.WARNING if people else Severity.PROBLEM,
            f"the picture did not change at all for {view.still_seconds:.0f} s",
            "see whether it hangs: restart the camera, or look at it when somebody walks through",
            figures={"still_seconds": round(view.still_seconds, 1)},
        )
    if view.moved > MOVED:
        yield Finding(
            Code.CAMERA_MOVED,
            Severity.PROBLEM,
            f"the camera was turned: its picture has moved by {view.moved:.1%} of its width",
            "fix it in place, switch off any patrol or automatic tracking, then draw the line anew",
            figures={"moved": round(view.moved, 4)},
        )
    if view.jolts > JOLTS:
        yield Finding(
            Code.CAMERA_SHAKES,
            Severity.WARNING,
            f"the picture shakes: it jumped in {view.jolts:.0%} of the frames",
            "tighten the camera's mount, or move it off the door that slams",
            figures={"jolts": round(view.jolts, 3)},
        )


def _light(view: ViewFigures) -> Iterator[Finding]:
    figures = {"brightness": round(view.brightness, 1), "contrast": round(view.contrast, 1)}
    if view.brightness < BLACK and view.highlights < BLACK_HIGHLIGHTS:
        yield Finding(
            Code.BLACK,
            Severity.PROBLEM,
            "the picture is black",
            "take the cap or sticker off the lens, switch the light on, and look at the camera's own page",
            figures=figures,
        )
    elif view.brightness < DARK:
        yield Finding(
            Code.TOO_DARK,
            Severity.PROBLEM,
            f"it is too dark: the mean brightness is {view.brightness:.0f} of 255, and people need about {DARK:.0f}",
            "light the entrance, or open the camera's exposure (a longer shutter, more gain, infrared at night)",
            figures=figures,
        )
    elif view.contrast < FLAT:
        yield Finding(
            Code.LOW_CONTRAST,
            Severity.WARNING,
            f"the picture is flat: nearly all of it lies within {view.contrast:.0f} of 255 grey levels",
            "clean the lens, turn the camera away from the sun or a lamp, or switch on its wide dynamic range",
            figures=figures,
        )
