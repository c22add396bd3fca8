"""Findings on the detected people: their number, size and speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from services.cli.diagnosis.findings import Code, Finding, Severity
from services.cli.diagnosis.trajectories import Trajectory

SMALL: Final = 20.0
"""Least height of a person in pixels of the network's input, with slicing where it is used. On a street scene that was
shrunk step by step, at 5 frames per second, person-detection-0200 counts 31 of 32 at 18 px, 19 at 15 px, 4 at 12 px."""
TINY: Final = 16.0
NEARER: Final = (
    "bring the camera nearer, zoom in, or take a model with a larger input (docs/models.md); "
    "METRICA_CLOSER must not be off"
)
SLOWEST_RATE: Final = 3.0
"""Frames per second below which the track of a strolling person is lost."""


def about_people(
    walks: Sequence[Trajectory], movers: Sequence[Trajectory], *, scale: float | None, rate: float, dark: bool
) -> Iterator[Finding]:
    """Yield the findings on the people of a minute.

    Args:
        walks: trajectories of the people that the model detected.
        movers: trajectories of anything that moves, by background subtraction.
        scale: pixels of the model's input per pixel of the frame, vertically, with slicing where it is used; None for
            a model without an input of its own.
        rate: processed frames per second.
        dark: true for a dark or black picture, which explains missing people.
    """
    walkers = [walk for walk in walks if walk.moves]
    if not walks:
        yield _nobody([walk for walk in movers if walk.moves], scale, dark)
    elif scale is not None and (small := _small(walks, scale)):
        yield small
    if walkers and (slow := _too_slow(walkers, rate)):
        yield slow
    elif rate < SLOWEST_RATE:
        yield Finding(
            Code.RATE_TOO_LOW,
            Severity.PROBLEM,
            f"there are only {rate:.1f} frames a second, too few to follow anybody",
            "set the camera, or the camera's fps in Metrica, to 10",
            figures={"rate": round(rate, 2)},
        )


def nobody_walks(walks: Sequence[Trajectory], movers: Sequence[Trajectory]) -> Finding:
    """Make the finding on people who are detected, but stand: a line can count none of them."""
    subject = "1 person is" if len(walks) == 1 else f"{len(walks)} people are"
    moving = sum(walk.moves for walk in movers)
    advice = "look again while people walk through (--from, --seconds)"
    if moving:
        things = "1 thing that moves is" if moving == 1 else f"{moving} things that move are"
        advice = (
            f"{things} not followed as people; see `metrica count … --annotate seen.mp4` for where they are lost, or "
            + advice
        )
    return Finding(
        Code.NOBODY_WALKS,
        Severity.WARNING,
        f"{subject} seen, and none walks farther than 1.5 times their own width: nobody can be counted",
        advice,
        figures={"people": len(walks), "movers": moving},
    )


def _nobody(moving: list[Trajectory], scale: float | None, dark: bool) -> Finding:
    if dark:
        advice = "mend the light first"
    elif not moving:
        advice = "look again while people walk through, and see that the camera looks at the door"
    else:
        pixels = float(np.median([walk.height for walk in moving])) * (scale or 1.0)
        if scale is not None and pixels < SMALL:
            return Finding(
                Code.TOO_SMALL,
                Severity.PROBLEM,
                f"the model sees nobody, but {len(moving)} that move are only about {pixels:.0f} pixels high on its "
                f"input, and people need {SMALL:.0f}",
                NEARER,
                figures={"input_height": round(pixels, 1), "movers": len(moving)},
            )
        advice = (
            f"{len(moving)} other things move; where those are people, the model does not know them from this side: "
            "hang the camera less steeply, or take another model (docs/models.md)"
        )
    return Finding(Code.NOBODY, Severity.PROBLEM, "nobody was seen", advice, figures={"movers": len(moving)})


def _small(walks: Sequence[Trajectory], scale: float) -> Finding | None:
    pixels = float(np.median([walk.height for walk in walks])) * scale
    if pixels >= SMALL:
        return None
    return Finding(
        Code.TOO_SMALL,
        Severity.PROBLEM if pixels < TINY else Severity.WARNING,
        f"people are small: about {pixels:.0f} pixels high on the model's input, and below {SMALL:.0f} many are missed",
        NEARER,
        figures={"input_height": round(pixels, 1)},
    )


def _too_slow(walkers: Sequence[Trajectory], rate: float) -> Finding | None:
    """Make the finding on a low rate: half of the walking people move by more than their width between two frames."""
    widths = float(np.median([np.percentile(walk.speeds, 75) / walk.width for walk in walkers]))
    step = widths / rate
    if step <= 1.0:
        return None
    return Finding(
        Code.RATE_TOO_LOW,
        Severity.PROBLEM,
        f"people move by {step:.1f} times their own width between two frames, so that they are taken for others",
        f"raise the {rate:.1f} frames a second, of the camera or its fps in Metrica, to {np.ceil(2 * widths):.0f} "
        "or more",
        figures={"rate": round(rate, 2), "widths_per_frame": round(step, 2)},
    )
