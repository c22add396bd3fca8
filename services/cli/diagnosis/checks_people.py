"""Whether people can be seen and followed: how many there are, how large, how fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from services.cli.diagnosis.findings import Code, Finding, Severity
from services.cli.diagnosis.trajectories import Walk

SMALL: Final = 20.0
"""Pixels of a person's height on the network's input, at its closest look. On a street scene that was shrunk step by
step, looked at 5 times a second, person-detection-0200 counts 31 of 32 at 18 px, 19 at 15 px and 4 at 12 px."""
TINY: Final = 16.0
NEARER: Final = (
    "bring the camera nearer, zoom in, or take a model with a larger input (docs/models.md); "
    "METRICA_CLOSER must not be off"
)
SLOWEST_RATE: Final = 3.0
"""Frames per second below which even a strolling person is lost."""


def about_people(
    walks: Sequence[Walk], movers: Sequence[Walk], *, scale: float | None, rate: float, dark: bool
) -> Iterator[Finding]:
    """The findings on the people of a minute.

    Args:
        walks: of the people that the model saw.
        movers: what moves, whoever or whatever that is, as background subtraction sees it.
        scale: pixels of the model's input per pixel of the frame, downwards, where it looks closest; None for a model
            without an input of its own.
        rate: frames per second that are counted with.
        dark: the picture is dark or black, which explains much.
    """
    walkers = [walk for walk in walks if walk.walks]
    if not walks:
        yield _nobody([walk for walk in movers if walk.walks], scale, dark)
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


def nobody_walks(walks: Sequence[Walk], movers: Sequence[Walk]) -> Finding:
    """The finding on people who are seen, of whom none gets about: there is nobody whom a line could count."""
    seen = "1 person is" if len(walks) == 1 else f"{len(walks)} people are"
    moving = sum(walk.walks for walk in movers)
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
        f"{seen} seen, and none walks farther than 1.5 times their own width: nobody can be counted",
        advice,
        figures={"people": len(walks), "movers": moving},
    )


def _nobody(moving: list[Walk], scale: float | None, dark: bool) -> Finding:
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


def _small(walks: Sequence[Walk], scale: float) -> Finding | None:
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


def _too_slow(walkers: Sequence[Walk], rate: float) -> Finding | None:
    """Half of the people move by more than their own width between two frames, when they walk."""
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
