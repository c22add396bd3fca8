"""The life of tracks."""

from __future__ import annotations

import numpy as np
import pytest

from services.tracker.tracking.kalman import Floats
from services.tracker.tracking.tracker import EndedTrack, Tracker, TrackerState
from tests.tracker.scenes import box_at


def boxes(*places: tuple[float, float]) -> Floats:
    return np.array([box_at(x, y) for x, y in places]).reshape(-1, 4)


def show(tracker: Tracker, *places: tuple[float, float], frames: int = 1, score: float = 0.9) -> list[tuple[int, bool]]:
    """The tracks in the last of some frames: numbers, and whether they are confirmed."""
    for _ in range(frames):
        sightings = tracker.step(boxes(*places), np.full(len(places), score), 0.1)
    return [(person.track, person.confirmed) for person in sightings.seen]


@pytest.mark.parametrize(("score", "sights"), [(0.9, 2), (0.6, 3), (0.4, 4)])
def test_the_better_the_boxes_the_sooner_a_person_is_confirmed(score: float, sights: int) -> None:
    tracker = Tracker()
    seen = [show(tracker, (100, 200), score=score) for _ in range(sights)]

    assert seen == [*[[(1, False)]] * (sights - 1), [(1, True)]]


def test_numbers_are_never_used_again() -> None:
    tracker = Tracker()
    show(tracker, (100, 200), frames=3)
    show(tracker, frames=40)

    assert show(tracker, (100, 200)) == [(2, False)]


def test_a_person_who_falls_into_two_boxes_for_a_moment_is_one() -> None:
    """A detector may see the head and the legs of somebody apart, where a shelf or a poor picture parts them."""
    tracker, (x1, y1, x2, y2) = Tracker(), box_at(100, 200)
    show(tracker, (100, 200), frames=5)
    middle = (y1 + y2) / 2
    parted = np.array([(x1, y1, x2, middle - 2), (x1, middle + 2, x2, y2)])

    assert [person.track for person in tracker.step(parted, np.array([0.9, 0.9]), 0.1).seen] == [1]


def test_who_steps_out_from_behind_another_is_somebody_new() -> None:
    tracker = Tracker()
    show(tracker, (100, 200), frames=5)

    assert show(tracker, (100, 200), (125, 195)) == [(1, True), (2, False)]


def test_a_lost_person_is_given_up_after_two_and_a_half_seconds() -> None:
    tracker, none = Tracker(), np.empty((0, 4))
    show(tracker, (100, 200), frames=3)
    ends = [tracker.step(none, np.empty(0), 0.125).ended for _ in range(30)]

    assert [frame for frame, gone in enumerate(ends, start=1) if gone] == [21]
    assert ends[20] == (EndedTrack(1, confirmed=True),)


def test_one_who_was_hardly_seen_is_given_up_sooner() -> None:
    tracker, none = Tracker(), np.empty((0, 4))
    show(tracker, (100, 200))
    ends = [tracker.step(none, np.empty(0), 0.1).ended for _ in range(30)]

    assert [gone for gone in ends if gone] == [(EndedTrack(1, confirmed=False),)]
    assert any(ends[:12])


def test_skipped_frames_give_nobody_up_until_nobody_can_still_be_there() -> None:
    tracker = Tracker()
    show(tracker, (100, 200), frames=3)

    assert not any(tracker.skip(0.1).ended for _ in range(29))
    assert any(tracker.skip(0.1).ended for _ in range(2))


@pytest.mark.parametrize(("frames", "still", "no_more"), [(1, 1.4, 1.6), (3, 2.9, 3.1)])
def test_who_stands_there_after_frames_were_missing_for_long_is_somebody_else(
    frames: int, still: float, no_more: float
) -> None:
    there = boxes((100, 200)), np.array([0.9])
    for seconds, track in ((still, 1), (no_more, 2)):
        tracker = Tracker()
        show(tracker, (100, 200), frames=frames)
        sightings = tracker.step(*there, seconds)

        assert [person.track for person in sightings.seen] == [track]
        assert sightings.ended == (() if track == 1 else (EndedTrack(1, confirmed=frames > 1),))


def test_nothing_to_see_is_nothing() -> None:
    assert show(Tracker(), frames=3) == []


def test_a_state_is_the_same_state_after_json() -> None:
    tracker = Tracker()
    for frame in range(20):
        show(tracker, (100 + 7.3 * frame, 200), (500 - 3.1 * frame, 300))
    state = TrackerState.model_validate_json(tracker.state().model_dump_json())

    assert state == tracker.state() == Tracker.restore(state).state()
