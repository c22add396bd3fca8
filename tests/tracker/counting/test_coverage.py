"""The rules of coverage: what was counted without a gap, reported in few words."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest

from services.tracker.counting.coverage import MAX_GAP, SECOND, OpenInterval, close, extend

Frame = tuple[str, tuple[str, ...], int]


def reports(frames: Iterable[Frame]) -> list[OpenInterval]:
    """All that is reported of some frames, and at their end."""
    interval: OpenInterval | None = None
    reported: list[OpenInterval] = []
    for session, lines, at in frames:
        interval, now = extend(interval, session, lines, at)
        reported += now
    return [*reported, *close(interval)]


def at_seconds(seconds: Iterable[float], session: str = "s", lines: tuple[str, ...] = ("door",)) -> list[Frame]:
    return [(session, lines, round(second * SECOND)) for second in seconds]


def intervals(frames: Sequence[Frame]) -> dict[int, int]:
    """The last reported end of each interval by its start, in seconds."""
    ends: dict[int, int] = {}
    for report in reports(frames):
        start, until = report.start // SECOND, report.until // SECOND
        assert until >= ends.get(start, start), "a report never shortens an interval"
        ends[start] = until
    return ends


def test_frames_without_a_gap_are_one_interval() -> None:
    assert intervals(at_seconds(n / 10 for n in range(3001))) == {0: 300}


def test_it_is_reported_after_a_second_and_then_each_minute() -> None:
    ends = [report.until // SECOND for report in reports(at_seconds(n / 10 for n in range(1501)))]

    assert ends == [1, 61, 121, 150]


def test_a_gap_ends_an_interval_and_begins_another() -> None:
    assert intervals(at_seconds([*range(5), *range(30, 35)])) == {0: 4, 30: 34}


def test_a_gap_of_ten_seconds_is_none() -> None:
    gap = MAX_GAP / SECOND

    assert intervals(at_seconds([0, gap, 2 * gap])) == {0: 20}
    assert intervals(at_seconds([0, 1, 1 + gap + 0.001, 13])) == {0: 1, 11: 13}


def test_a_clock_that_steps_back_begins_another_interval() -> None:
    assert intervals(at_seconds([100, 102, 50, 53])) == {100: 102, 50: 53}


def test_two_frames_at_one_moment_are_no_step_back() -> None:
    assert intervals(at_seconds([0, 1, 1, 2])) == {0: 2}


def test_other_lines_begin_another_interval() -> None:
    before, after = at_seconds(range(5)), at_seconds(range(5, 9), lines=("back", "door"))

    assert [(each.lines, each.start // SECOND) for each in reports(before + after)][-1] == (("back", "door"), 5)
    assert intervals(before + after) == {0: 4, 5: 8}


def test_another_session_begins_another_interval() -> None:
    assert intervals(at_seconds(range(5), "a") + at_seconds(range(5, 9), "b")) == {0: 4, 5: 8}


def test_a_camera_without_lines_covers_nothing() -> None:
    assert reports(at_seconds(range(100), lines=())) == []
    assert intervals(at_seconds(range(5)) + at_seconds(range(5, 9), lines=())) == {0: 4}


def test_a_single_frame_covers_no_time() -> None:
    assert reports(at_seconds([7])) == []


@pytest.mark.parametrize("seed", range(10))
def test_an_interval_that_is_restored_goes_on_as_if_it_had_never_stopped(seed: int) -> None:
    rng = random.Random(seed)
    moments, now = [], 0.0
    for _ in range(300):
        now += rng.choice([0.1, 0.5, 2.0, 11.0]) * rng.random()
        moments.append(now)
    frames = at_seconds(moments)
    interval: OpenInterval | None = None
    restored: list[OpenInterval] = []
    for session, lines, at in frames:
        if interval is not None and rng.random() < 0.3:
            interval = OpenInterval.model_validate_json(interval.model_dump_json())
        interval, now_reported = extend(interval, session, lines, at)
        restored += now_reported

    assert [*restored, *close(interval)] == reports(frames)
