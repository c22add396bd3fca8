"""Accuracy of the counts under measured detector errors: `python -m tests.bench.bench_flawed_door [--people 100]`.

People at the simulated door, 20 and 60 of them a minute, as four detectors would see them at three frame rates, two
seeds each. Prints what is missed and false together, in percent of the true crossings; none of it is rendered.
"""

from __future__ import annotations

import argparse

from tests.support.detector_errors import MEASURED, ErrorPattern
from tests.support.seen_door import count

SEEDS = (1, 7)
RATES, FPS = (20.0, 60.0), (5.0, 10.0, 25.0)


def error(pattern: ErrorPattern, people: int, rate: float, fps: float) -> str:
    """Percent missed and false."""
    missed = false = true = 0
    for seed in SEEDS:
        found = count(pattern, seed=seed, people=people, people_per_min=rate, fps=fps)
        missed, false, true = missed + found.missed, false + found.false, true + found.matched + found.missed
    return f"{100 * (missed + false) / true:.1f} ({missed} + {false} of {true})"


def main() -> None:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(description="Counts under measured detector errors.")
    parser.add_argument("--people", type=int, default=100)
    people: int = parser.parse_args().people
    print(f"| people a minute, frames a second | {' | '.join(MEASURED)} |")
    print("|---" * (1 + len(MEASURED)) + "|")
    for rate in RATES:
        for fps in FPS:
            errors = [error(pattern, people, rate, fps) for pattern in MEASURED.values()]
            print(f"| {rate:g}, {fps:g} | {' | '.join(errors)} |", flush=True)


if __name__ == "__main__":
    main()
