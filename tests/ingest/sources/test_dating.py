"""The rules by which live frames are dated, on scripted arrivals: clumps, stalls, and clocks that lie."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable

import pytest

from services.ingest.decimator import SECOND
from services.ingest.decoding.timestamps import Timestamps
from services.ingest.sources.dating import Dating, WallClock
from services.ingest.sources.playout import Playout

STEP = SECOND // 10
BEGAN = 77 * SECOND


def dated(frames: Iterable[tuple[int | None, int]]) -> list[int]:
    """Dates of frames, each a stamp and an arrival."""
    dating = Dating()
    return [dating.date(stamp, arrival) for stamp, arrival in frames]


class TestDating:
    def test_clumps_are_spread_again(self) -> None:
        """Four frames at a time, when the fourth is there, as a radio network delivers them."""
        frames = [(number * STEP, BEGAN + (number // 4 * 4 + 3) * STEP) for number in range(200)]

        late = dated(frames)[60:]

        assert all(after - before == STEP for before, after in itertools.pairwise(late))

    @pytest.mark.parametrize(
        "clock",
        [
            lambda taken: taken // 100,
            lambda taken: taken // 2,
            lambda taken: taken * 3,
            lambda _: 0,
            lambda taken: taken - (2 * 3600 * SECOND if taken > 10 * SECOND else 0),
            lambda taken: taken + (3600 * SECOND if taken > 10 * SECOND else 0),
            lambda taken: taken + (5 * SECOND if taken > 10 * SECOND else 0),
            lambda taken: taken % (7 * SECOND),
        ],
        ids=["too slow", "half speed", "too fast", "standing", "back 2 h", "ahead 1 h", "ahead 5 s", "again and again"],
    )
    def test_whatever_a_clock_does_dates_grow_and_are_those_of_the_arrival(self, clock: Callable[[int], int]) -> None:
        jitter = random.Random(7)
        taken = [number * STEP for number in range(300)]
        arrivals = [BEGAN + one + jitter.randrange(STEP // 2) for one in taken]
        timestamps = Timestamps(STEP, jumps_are_faults=True)

        dates = dated((timestamps.next(clock(one)), arrival) for one, arrival in zip(taken, arrivals, strict=True))

        assert all(after >= before for before, after in itertools.pairwise(dates))
        assert all(0 <= arrival - date <= SECOND for date, arrival in zip(dates, arrivals, strict=True))
        assert max(after - before for before, after in itertools.pairwise(dates)) < 1.5 * SECOND

    def test_a_stream_without_times_is_dated_by_its_arrivals(self) -> None:
        arrivals = [BEGAN, BEGAN + 5, BEGAN + STEP]

        assert dated((None, arrival) for arrival in arrivals) == arrivals

    def test_a_clock_that_drifts_is_followed(self) -> None:
        """A second in an hour, for a day."""
        frames = [(round(number * SECOND * 3601 / 3600), BEGAN + number * SECOND) for number in range(24 * 3600)]

        assert all(arrival - date < SECOND // 10 for date, (_, arrival) in zip(dated(frames), frames, strict=True))


class TestPlayout:
    def shown(self, stamps: Iterable[int], took: Callable[[int], int] = lambda _: 0) -> list[tuple[int, int]]:
        """Dates of frames and moments at which they are shown; reading the frame of a number takes so long."""
        playout, now, found = Playout(STEP), BEGAN, []
        for number, stamp in enumerate(stamps):
            date, shown = playout.schedule(stamp, now + took(number))
            found.append((date, shown))
            now = max(now + took(number), shown)
        return found

    def test_frames_of_a_segment_are_shown_as_far_apart_as_they_were_recorded(self) -> None:
        shown = self.shown(number * STEP for number in range(60))

        assert shown == [(BEGAN + number * STEP, BEGAN + number * STEP) for number in range(60)]

    def test_those_behind_a_late_one_catch_up(self) -> None:
        shown = self.shown((number * STEP for number in range(60)), lambda number: SECOND if number == 20 else 0)

        assert [date for date, _ in shown] == [BEGAN + number * STEP for number in range(60)]
        assert all(late >= date for date, late in shown)
        assert all(after - before >= STEP // 2 for before, after in itertools.pairwise(late for _, late in shown))
        assert shown[-1] == (BEGAN + 59 * STEP,) * 2

    def test_a_segment_that_was_left_out_is_not_waited_for(self) -> None:
        stamps = [number * STEP + (number >= 30) * 6 * SECOND for number in range(60)]

        shown = self.shown(stamps)

        assert shown[-1][1] < BEGAN + 61 * STEP

    def test_after_a_long_stall_times_begin_anew(self) -> None:
        shown = self.shown((number * STEP for number in range(60)), lambda number: 60 * SECOND * (number == 20))

        assert shown[20] == (BEGAN + 19 * STEP + 60 * SECOND,) * 2
        assert shown[-1][0] - shown[20][0] == 39 * STEP


class TestTimestamps:
    def test_a_frame_out_of_order_is_no_clock_that_was_set(self) -> None:
        timestamps = Timestamps(STEP, jumps_are_faults=True)

        times = [timestamps.next(number * STEP) for number in (0, 1, 2, 5, 4, 6, 7)]

        assert all(after > before for before, after in itertools.pairwise(times))
        assert timestamps.repairs.jumps == 0
        assert timestamps.repairs.missing == 1

    @pytest.mark.parametrize("to", [-7200, -5, 11, 3600, 95_443 * 3600])
    def test_a_step_back_or_a_long_one_ahead_goes_on_at_the_frame_interval(self, to: int) -> None:
        timestamps = Timestamps(STEP, jumps_are_faults=True)

        times = [timestamps.next(BEGAN + number * STEP + to * SECOND * (number >= 10)) for number in range(20)]

        assert times == [number * STEP for number in range(20)]
        assert timestamps.repairs.jumps == 1


def test_no_frame_has_a_date_that_is_to_come() -> None:
    clock = WallClock()
    for pts in (0, 5 * SECOND, 5 * SECOND + 1, 3600 * SECOND):  # as of a source that had fallen behind, and caught up
        assert clock.date(pts) <= time.time_ns()
