"""The rules by which frames are kept."""

from __future__ import annotations

import pytest

from services.ingest.decimator import SECOND, Decimator


def kept(times_ms: list[float], fps: float | None) -> list[float]:
    decimator = Decimator(fps)
    return [time for time in times_ms if decimator.keeps(round(time * 1e6))]


def rate(fps: float, seconds: float) -> list[float]:
    return [i * 1000 / fps for i in range(round(fps * seconds))]


def test_without_a_target_every_frame_is_kept() -> None:
    assert kept([0, 1, 2, 500], None) == [0, 1, 2, 500]


@pytest.mark.parametrize(
    ("source", "target", "per_second"),
    [
        pytest.param(30, 10, 10, id="a third"),
        pytest.param(25, 10, 10, id="no whole part"),
        pytest.param(29.97, 10, 10, id="a television's rate"),
        pytest.param(10, 10, 10, id="just the target"),
        pytest.param(9, 10, 9, id="slower than the target: all"),
        pytest.param(10, 2.5, 2.5, id="a quarter"),
        pytest.param(15, 14, 14, id="nearly all"),
    ],
)
def test_long_run_rate_is_the_target(source: float, target: float, per_second: float) -> None:
    assert len(kept(rate(source, 60), target)) == pytest.approx(per_second * 60, abs=2)


def test_frames_that_arrive_a_little_early_or_late_are_kept() -> None:
    shaken = [i * 100 + (-1) ** i * 12 for i in range(1, 100)]

    assert len(kept(shaken, 10)) == 99


def test_coarse_timestamps_lose_no_frame() -> None:
    milliseconds = [float(round(time)) for time in rate(30, 20)]

    assert len(kept(milliseconds, 30)) == 600


def test_after_a_gap_frames_are_not_made_up_for() -> None:
    times = [0.0, 100.0, 5000.0, 5010.0, 5020.0, 5100.0]

    assert kept(times, 10) == [0.0, 100.0, 5000.0, 5100.0]


def test_choice_depends_on_the_times_alone() -> None:
    times = rate(25, 10)

    assert kept(times, 7) == kept(times, 7)
    assert kept([time + 3600 * 1000 for time in times], 7) == [time + 3600 * 1000 for time in kept(times, 7)]


def test_a_day_at_an_odd_rate_does_not_drift() -> None:
    decimator = Decimator(10)
    step = SECOND * 1001 // 30000

    keeps = sum(decimator.keeps(i * step) for i in range(30 * 3600))

    assert keeps == pytest.approx(30 * 3600 * step / SECOND * 10, abs=2)
