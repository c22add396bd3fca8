"""The rules of an excerpt: what is played again is what was, under the same names, and its crossings are the same."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Crossing, Detections
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.runs import Run, RunCamera, RunKind, Stretch
from services.replay.window import AFTER, DetectionsWindow, FramesWindow
from services.tracker.counting.camera_counter import CameraCounter
from services.tracker.ordering import Arrival, Sequencer
from tests.support.hour import seen, spec

SECOND = 1_000_000_000
DOOR = list(seen("door", 60, people_per_min=30))
START = DOOR[0].captured_at


def run(since: float = 0, until: float = 1000, kind: RunKind = RunKind.DETECTIONS) -> Run:
    """A run over seconds of the scene."""
    return Run(
        name="again", kind=kind, cameras=(RunCamera(camera="door", store="shop"),), created_at=1,
        since=START + round(since * SECOND), until=START + round(until * SECOND),
    )  # fmt: skip


def event(seq: int, *, session: str = "s", second: float | None = None, end: bool = False) -> Detections:
    """Detections of a live camera, a tenth of a second after each other."""
    at = seq / 10 if second is None else second
    return DOOR[0].model_copy(
        update={
            "session": session, "seq": seq, "previous": seq - 1 if seq else None, "policy": Policy.LATEST,
            "captured_at": START + round(at * SECOND), "end": EndReason.LOST if end else None,
        }
    )  # fmt: skip


def taken(excerpt: DetectionsWindow, events: Iterable[Detections]) -> list[tuple[str, int, int | None]]:
    """Session, seq and predecessor of what is in the run."""
    found = [one for event in events if (one := excerpt.take(event)) is not None]
    assert {one.run for one in found} <= {"again"}
    return [(one.session, one.seq, one.previous) for one in found]


class TestDetections:
    def test_what_is_cut_off_at_its_beginning_starts_with_the_first_that_is_taken(self) -> None:
        excerpt = DetectionsWindow(run(1, 2), "door", START + SECOND)

        found = taken(excerpt, [event(seq) for seq in (8, 9, 10, 12, 11, 9, 13)])

        assert found == [("s", 10, None), ("s", 12, 11), ("s", 11, 10), ("s", 13, 12)]

    def test_a_session_that_begins_in_it_is_left_as_it_came(self) -> None:
        excerpt = DetectionsWindow(run(), "door", START)

        assert taken(excerpt, [event(1), event(0), event(2)]) == [("s", 1, 0), ("s", 0, None), ("s", 2, 1)]

    def test_of_a_session_that_is_stored_from_its_middle_on_the_first_is_the_first(self) -> None:
        excerpt = DetectionsWindow(run(), "door", START)

        assert taken(excerpt, [event(5000), event(5001)]) == [("s", 5000, None), ("s", 5001, 5000)]

    def test_a_late_one_of_the_session_before_does_not_disturb_the_next(self) -> None:
        excerpt = DetectionsWindow(run(1, 9), "door", START + SECOND)

        found = taken(
            excerpt,
            [event(9, session="old"), event(0, session="new", second=1.2), event(10, session="old", second=1.0)],
        )

        assert found == [("new", 0, None)]

    def test_what_comes_for_a_while_behind_the_period_is_taken_and_counts_nothing(self) -> None:
        excerpt = DetectionsWindow(run(0, 1), "door", START)
        after = 10 + AFTER // SECOND * 10

        assert [seq for _, seq, _ in taken(excerpt, map(event, (8, 10, 9, after - 1, after)))] == [8, 10, 9, after - 1]
        assert excerpt.covered == [Stretch(camera="door", session="s", first=8, last=9)]

    def test_stopped_it_covers_what_was_taken_by_then(self) -> None:
        excerpt = DetectionsWindow(run(), "door", START)
        taken(excerpt, map(event, (8, 9, 10)))

        excerpt.stop()

        after = 11 + AFTER // SECOND * 10
        assert [seq for _, seq, _ in taken(excerpt, map(event, (11, after)))] == [11]
        assert excerpt.is_behind(event(after))
        assert excerpt.covered == [Stretch(camera="door", session="s", first=8, last=10)]

    def test_what_is_cut_off_at_its_end_is_ended_there_and_that_end_counts_nothing(self) -> None:
        part = run(0, 1)
        excerpt = DetectionsWindow(part, "door", START)
        taken(excerpt, [event(seq) for seq in (8, 9, 10)])

        end = excerpt.end()

        assert end is not None
        assert (end.session, end.seq, end.previous, end.end) == ("s", 11, 10, EndReason.STOPPED)
        assert not part.counts(end.captured_at)
        assert excerpt.covered == [Stretch(camera="door", session="s", first=8, last=9)]

    def test_what_ended_by_itself_needs_no_end(self) -> None:
        excerpt = DetectionsWindow(run(), "door", START)
        taken(excerpt, [event(0), event(1), event(2, second=0.1, end=True)])

        assert excerpt.end() is None
        assert excerpt.covered == [Stretch(camera="door", session="s", first=0, last=2)]

    def test_the_session_that_another_followed_decided_its_last_crossings_one_behind_its_last_frame(self) -> None:
        excerpt = DetectionsWindow(run(), "door", START)
        taken(excerpt, [event(0), event(1), event(0, session="next", second=5)])

        assert excerpt.covered == [
            Stretch(camera="door", session="s", first=0, last=2),
            Stretch(camera="door", session="next", first=0, last=0),
        ]
        assert excerpt.sessions == ["s", "next"]

    def test_what_lets_the_tracker_find_people_counts_nothing(self) -> None:
        excerpt = DetectionsWindow(run(1), "door", START)
        taken(excerpt, [event(seq) for seq in range(20)])

        assert excerpt.covered == [Stretch(camera="door", session="s", first=10, last=19)]

    def test_of_nothing_comes_nothing(self) -> None:
        excerpt = DetectionsWindow(run(), "door", START)

        assert (excerpt.end(), excerpt.covered, excerpt.sessions) == (None, [], [])


def header(seq: int, session: str = "s", *, second: float | None = None, end: bool = False) -> FrameHeader:
    at = seq / 10 if second is None else second
    return FrameHeader(
        run="live", store="shop", camera="door", session=session, seq=seq, previous=seq - 1 if seq else None,
        captured_at=START + round(at * SECOND), width=64, height=48, spec_revision=1, policy=Policy.LATEST,
        end=EndReason.FINISHED if end else None,
    )  # fmt: skip


class TestFrames:
    def frames(self, excerpt: FramesWindow, headers: Iterable[FrameHeader]) -> list[tuple[str, int, int | None, bool]]:
        found = [one for header in headers for one in excerpt.take(header)]
        assert {(one.run, one.policy) for one in found} == {("again", Policy.EVERY)}
        return [(one.session, one.seq, one.previous, one.end is not None) for one in found]

    def test_none_is_waited_for_that_was_not_recorded(self) -> None:
        excerpt = FramesWindow(run(0, 9, RunKind.FRAMES), "door", START)

        assert self.frames(excerpt, map(header, (3, 4, 9, 9, 10))) == [
            ("s", 3, None, False),
            ("s", 4, 3, False),
            ("s", 9, 4, False),
            ("s", 10, 9, False),
        ]

    def test_a_session_whose_end_was_not_recorded_is_ended_before_the_next(self) -> None:
        excerpt = FramesWindow(run(0, 9, RunKind.FRAMES), "door", START)

        found = self.frames(excerpt, [header(0), header(1), header(0, "next", second=3), header(2)])

        assert found == [("s", 0, None, False), ("s", 1, 0, False), ("s", 2, 1, True), ("next", 0, None, False)]
        end = excerpt.end()
        assert end is not None
        assert (end.session, end.seq, end.end) == ("next", 1, EndReason.STOPPED)

    def test_a_recorded_end_is_the_end(self) -> None:
        excerpt = FramesWindow(run(0, 9, RunKind.FRAMES), "door", START)
        self.frames(excerpt, [header(0), header(1, second=0, end=True)])

        assert excerpt.end() is None
        assert excerpt.covered == [Stretch(camera="door", session="s", first=0, last=1)]


def stream(chance: random.Random, *, lost: float, sessions: int) -> list[tuple[Detections, float]]:
    """The scene as a live camera's detections come in: out of order, with gaps, in sessions; and when."""
    length = len(DOOR) // sessions
    came: list[tuple[float, int, Detections]] = []
    for place, frame in enumerate(DOOR[: length * sessions]):
        number, seq = divmod(place, length)
        if chance.random() < lost:
            continue
        delay = chance.choice([0.05, 0.05, 0.05, 0.12, 0.31, 0.9])
        one = frame.model_copy(
            update={
                "session": f"s{number}", "seq": seq, "previous": seq - 1 if seq else None, "policy": Policy.LATEST,
                "end": EndReason.LOST if seq == length - 1 and number % 2 else None,
            }
        )  # fmt: skip
        came.append(((frame.captured_at - START) / SECOND + delay, place, one))
    return [(one, at) for at, _, one in sorted(came)]


def track(events: Iterable[tuple[Detections, float]], run: Run | None, last: Detections | None) -> list[Crossing]:
    """The crossings that a tracker counts of them, by the clock at which they were stored."""
    order, counter, places = Sequencer(), CameraCounter("any", "shop", "door"), count(1)
    ready: list[Detections] = []
    at = 0.0
    for one, at in events:
        ready += order.offer(Arrival(one, next(places), at, at))
    if last is not None:
        ready += order.offer(Arrival(last, next(places), at, at))
    ready += order.finish()
    steps = [counter.step(one, spec("door"), counts=run is None or run.counts(one.captured_at)) for one in ready]
    return [crossing for step in steps for crossing in step.crossings]


def covered(crossings: Sequence[Crossing], stretches: Sequence[Stretch]) -> list[Crossing]:
    return [
        one
        for one in crossings
        if any(one.session == each.session and each.first <= one.seq <= each.last for each in stretches)
    ]


@pytest.mark.parametrize("warm", [True, False], ids=["warmed up", "from its beginning"])
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), lost=st.sampled_from([0.0, 0.02, 0.2]), sessions=st.integers(1, 3))
def test_whatever_was_lost_late_or_broken_off_its_replay_counts_what_was_counted(
    warm: bool, seed: int, lost: float, sessions: int
) -> None:
    chance = random.Random(seed)
    events = stream(chance, lost=lost, sessions=sessions)
    since, until = (25, 25 + chance.uniform(1, 30)) if warm else (0, chance.uniform(1, 60))
    again = run(since, until)
    excerpt = DetectionsWindow(again, "door", START + (5 * SECOND if warm else 0))
    played = [(one, at) for event, at in events if (one := excerpt.take(event)) is not None]

    replayed = track(played, again, excerpt.end())

    assert replayed == covered(track(events, None, None), excerpt.covered)
