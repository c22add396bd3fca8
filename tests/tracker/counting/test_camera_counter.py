"""A camera's counter, given people who walk, hide, meet and stand."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Detections
from contracts.frames import EndReason
from contracts.identity import Direction, crossing_id
from contracts.spec import CountingLine, Side
from services.tracker.counting.camera_counter import CameraCounter, CounterState, Step
from services.tracker.tracking.tracker import MAX_TRACKS
from tests.tracker.scenes import (
    HEIGHT,
    MIDDLE,
    START,
    WIDTH,
    Place,
    box_at,
    crossings,
    directions,
    film,
    hidden,
    seen,
    spec,
    walk,
    watch,
)

LEFTWARDS = walk((0.0, 1000.0, 400.0), (6.0, 280.0, 400.0))
"""Over the line at 3 s, at 120 pixels a second, as fast as people walk."""
RIGHTWARDS = walk((0.0, 280.0, 400.0), (6.0, 1000.0, 400.0))


def fresh() -> CameraCounter:
    return CameraCounter("live", "shop", "cam")


class TestWalking:
    @pytest.mark.parametrize("fps", [5.0, 10.0, 25.0, 30.0])
    def test_one_person_over_the_line_is_one_in(self, fps: float) -> None:
        (crossing,) = crossings(watch(film([LEFTWARDS], seconds=6, fps=fps)))

        assert crossing.direction is Direction.IN
        assert crossing.place == pytest.approx(400 / HEIGHT, abs=0.01)
        assert crossing.at == pytest.approx(START + 3e9, abs=1e8)

    def test_the_other_way_is_out(self) -> None:
        assert directions(watch(film([RIGHTWARDS], seconds=6))) == ["out"]

    def test_an_empty_shop_counts_nothing(self) -> None:
        assert directions(watch(film([], seconds=6))) == []

    @pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
    def test_two_people_side_by_side_are_two(self, fps: float) -> None:
        beside = walk((0.0, 1010.0, 450.0), (6.0, 290.0, 450.0))

        assert directions(watch(film([LEFTWARDS, beside], seconds=6, fps=fps))) == ["in", "in"]

    @pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
    @pytest.mark.parametrize("apart", [0.0, 15.0, 60.0])
    def test_two_people_who_pass_each_other_on_the_line_are_one_in_and_one_out(self, fps: float, apart: float) -> None:
        other = walk((0.0, 280.0, 400.0 + apart), (6.0, 1000.0, 400.0 + apart))

        assert sorted(directions(watch(film([LEFTWARDS, other], seconds=6, fps=fps)))) == ["in", "out"]

    @pytest.mark.parametrize("fps", [10.0, 25.0])
    def test_one_who_hides_the_other_while_they_pass_on_the_line(self, fps: float) -> None:
        behind = hidden(walk((0.0, 280.0, 385.0), (6.0, 1000.0, 385.0)), 2.8, 3.2)

        assert sorted(directions(watch(film([LEFTWARDS, behind], seconds=6, fps=fps)))) == ["in", "out"]

    def test_over_and_back_is_an_in_and_an_out(self) -> None:
        visitor = walk((0.0, 1000.0, 400.0), (4.0, 500.0, 400.0), (8.0, 1000.0, 400.0))

        assert directions(watch(film([visitor], seconds=8))) == ["in", "out"]

    def test_standing_on_the_line_counts_nothing(self) -> None:
        assert directions(watch(film([lambda seconds: (640.0, 400.0)], seconds=20))) == []

    def test_somebody_who_comes_in_one_step_before_the_line_is_counted(self) -> None:
        late = walk((0.0, 690.0, 400.0), (2.0, 450.0, 400.0))

        assert directions(watch(film([late], seconds=2))) == ["in"]

    def test_somebody_who_comes_out_of_a_door_beside_the_line_is_counted(self) -> None:
        late = walk((0.0, 648.0, 400.0), (2.0, 450.0, 400.0))

        assert directions(watch(film([late], seconds=2))) == ["in"]

    def test_so_is_somebody_who_vanishes_in_it_once_they_are_given_up(self) -> None:
        steps = watch(film([walk((0.0, 1000.0, 400.0), (3.1, 631.0, 400.0))], seconds=7))
        (frame,) = (frame for frame, step in enumerate(steps) if step.crossings)

        assert directions(steps) == ["in"]
        assert crossings(steps)[0].at == pytest.approx(START + 3e9, abs=1e8)
        assert frame > 50

    def test_so_is_somebody_who_is_there_at_the_end_of_the_video(self) -> None:
        frames = film([walk((0.0, 1000.0, 400.0), (3.1, 631.0, 400.0))], seconds=3.2)
        step = watch([*frames, seen(32, end=EndReason.FINISHED)])[-1]

        assert directions([step]) == ["in"]
        assert step.end is not None
        assert step.end.count == 1

    def test_somebody_whose_track_breaks_at_the_line_is_counted_once(self) -> None:
        """The box changes its shape at 3 s, as of a person who comes out from behind a counter: a new track begins."""
        frames = []
        for seq in range(60):
            x = 1000 - 12.0 * seq
            frames.append(seen(seq, [box_at(x, 400) if seq < 30 else box_at(x - 20, 420, 170, 58)]))
        steps = watch(frames)

        assert {track.track for step in steps for track in step.tracks.tracks} == {1, 2}
        assert directions(steps) == ["in"]

    def test_somebody_whose_box_falls_into_two_at_the_line_is_counted_once(self) -> None:
        """As background subtraction parts head and legs: those are first seen in the band, and leave it."""
        level = CountingLine(id="level", x1=0.0, y1=0.5, x2=1.0, y2=0.5, in_side=Side.RIGHT)
        frames = []
        for seq in range(60):
            y = 180 + 6.0 * seq
            parted = 20 <= seq < 26
            parts = [box_at(600, y - 20, 60, 110), box_at(600, y + 56, 30, 38)] if parted else [box_at(600, y)]
            frames.append(seen(seq, parts))

        assert directions(watch(frames, None, level)) == ["in"]

    def test_a_shadow_of_two_frames_is_not(self) -> None:
        shadow = walk((1.0, 700.0, 400.0), (1.1, 580.0, 400.0))

        assert directions(watch(film([shadow], seconds=5))) == []

    def test_a_double_box_on_one_person_is_one_person(self) -> None:
        double: Place = lambda seconds: (1000 - 120 * seconds + 6, 405.0)  # noqa: E731 - reads as what it is: a place

        steps = watch(film([LEFTWARDS, double], seconds=6))

        assert directions(steps) == ["in"]
        assert {len(step.tracks.tracks) for step in steps[5:55]} == {1}

    def test_a_torso_inside_a_person_is_no_second_one(self) -> None:
        frames = []
        for seq in range(60):
            x = 1000 - 12.0 * seq
            frames.append(seen(seq, [box_at(x, 400), box_at(x, 375, 50, 90)]))

        assert directions(watch(frames)) == ["in"]

    def test_a_weak_box_goes_on_with_a_track_but_begins_none(self) -> None:
        x = [1000 - 12.0 * seq for seq in range(60)]
        strong_then_weak = [seen(i, [box_at(x[i], 400)], score=0.9 if i < 15 else 0.2) for i in range(60)]
        weak = [seen(i, [box_at(x[i], 400)], score=0.2) for i in range(60)]

        assert directions(watch(strong_then_weak)) == ["in"]
        assert directions(watch(weak)) == []


class TestHidden:
    @given(
        fps=st.sampled_from([5.0, 10.0, 15.0, 25.0, 30.0]),
        since=st.floats(1.2, 3.5),
        length=st.floats(0.1, 2.0),
        speed=st.floats(70.0, 180.0),
    )
    @settings(max_examples=25)
    def test_a_person_hidden_for_up_to_two_seconds_counts_once(
        self, fps: float, since: float, length: float, speed: float
    ) -> None:
        person = walk((0.0, 640 + 3.2 * speed, 400.0), (7.0, 640 - 3.8 * speed, 400.0))

        assert directions(watch(film([hidden(person, since, since + length)], seconds=7, fps=fps))) == ["in"]

    @given(since=st.floats(1.2, 3.5), length=st.floats(0.1, 2.0))
    @settings(max_examples=10)
    def test_so_does_one_among_others(self, since: float, length: float) -> None:
        person = walk((0.0, 1000.0, 400.0), (7.0, 160.0, 400.0))
        others = [walk((0.0, x, y), (7.0, x, y)) for x in (300.0, 900.0) for y in (150.0, 620.0)]

        steps = watch(film([hidden(person, since, since + length), *others], seconds=7))

        assert directions(steps) == ["in"]

    def test_a_person_who_stops_behind_a_post_on_the_line_and_comes_back_counts_nothing(self) -> None:
        person = walk((0.0, 1000.0, 400.0), (2.9, 652.0, 400.0), (4.0, 652.0, 400.0), (7.0, 1000.0, 400.0))

        assert directions(watch(film([hidden(person, 2.6, 4.4)], seconds=7))) == []

    def test_frames_that_nobody_could_look_at_do_not_end_a_track(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        frames[20:48] = [seen(seq, skipped="cannot be decoded") for seq in range(20, 48)]
        steps = watch(frames)

        assert directions(steps) == ["in"]
        assert {track.track for step in steps for track in step.tracks.tracks} == {1}

    def test_a_camera_that_delivers_nothing_for_two_seconds(self) -> None:
        frames = film([LEFTWARDS], seconds=6)

        assert directions(watch(frames[:20] + frames[40:])) == ["in"]

    def test_a_clock_that_jumps_back_loses_nobody(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        frames[28:] = [f.model_copy(update={"captured_at": f.captured_at - 3_600 * 10**9}) for f in frames[28:]]

        assert directions(watch(frames)) == ["in"]


def states_agree(a: CounterState, b: CounterState) -> bool:
    return a.model_dump_json() == b.model_dump_json()


def crowd(seed: int, people: int = 8, seconds: float = 8.0) -> list[Detections]:
    """People on random ways, seen by a detector that misses, trembles and dreams."""
    chance = random.Random(seed)
    ways = []
    for _ in range(people):
        start, y = chance.uniform(0, 3), chance.uniform(100, 600)
        left = chance.random() < 0.5
        ways.append(walk((start, 1100.0 if left else 180.0, y), (start + 5, 180.0 if left else 1100.0, y)))
    frames = []
    for frame in film(ways, seconds=seconds):
        boxes, scores = [], []
        for box in frame.boxes:
            if chance.random() < 0.9:
                boxes.append((*(round(v + chance.gauss(0, 2), 2) for v in box),))
                scores.append(round(chance.uniform(0.1, 1.0), 4))
        frames.append(frame.model_copy(update={"boxes": tuple(boxes), "scores": tuple(scores)}))
    return frames


class TestCheckpoint:
    @given(st.integers(0, 79), st.integers(0, 5))
    @settings(max_examples=8)
    def test_resume_at_any_frame_and_every_event_stands(self, at: int, seed: int) -> None:
        frames = crowd(seed)
        undisturbed = fresh()
        whole = watch(frames, undisturbed)
        first = fresh()
        before = watch(frames[:at], first)
        kept = CounterState.model_validate_json(first.state().model_dump_json())
        second = CameraCounter.restore("live", "shop", "cam", kept)

        assert states_agree(second.state(), kept)
        assert before + watch(frames[at:], second) == whole
        assert states_agree(second.state(), undisturbed.state())

    def test_resume_right_before_the_end_and_the_last_crossing_stands(self) -> None:
        frames = film([walk((0.0, 1000.0, 400.0), (3.1, 631.0, 400.0))], seconds=3.2)
        first = fresh()
        watch(frames, first)
        second = CameraCounter.restore("live", "shop", "cam", first.state())

        assert directions(watch([seen(32, end=EndReason.FINISHED)], second)) == ["in"]

    def test_the_same_detections_make_the_same_events_in_another_run_but_for_its_name(self) -> None:
        frames = crowd(1)
        live = crossings(watch(frames))
        replay = crossings(watch(frames, CameraCounter("again", "shop", "cam")))

        assert [c.id for c in live] == [c.id for c in replay]
        assert {c.run for c in replay} == {"again"}

    def test_a_state_of_five_people_is_a_few_kilobytes(self) -> None:
        counter = fresh()
        watch(crowd(2, people=5)[:60], counter)

        assert len(counter.state().model_dump_json()) < 11_000

    def test_a_state_fits_into_a_message_whatever_comes(self) -> None:
        chance, counter = random.Random(0), fresh()
        for seq in range(15):
            boxes = [box_at(chance.uniform(0, WIDTH), chance.uniform(0, HEIGHT), 30, 70) for _ in range(500)]
            counter.step(seen(seq, boxes), spec())

        assert len(counter.state().model_dump_json()) < 1_000_000


class TestSessions:
    def test_the_end_counts_what_came_before_it(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        frames[5] = seen(5, skipped="cannot be decoded")
        step = watch([*frames[:30], *frames[32:], seen(60, end=EndReason.FINISHED)])[-1]

        assert step.end is not None
        assert (step.end.count, step.end.frames, step.end.skipped, step.end.missed) == (1, 58, 1, 2)
        assert step.end.reason is EndReason.FINISHED
        assert [path.final for path in step.paths] == [True]

    def test_frames_missed_before_the_first_that_came_are_missed_too(self) -> None:
        step = watch([seen(3), seen(4), seen(7, end=EndReason.LOST)])[-1]

        assert step.end is not None
        assert (step.end.frames, step.end.missed) == (2, 5)

    def test_an_empty_session_ends_with_nothing(self) -> None:
        (step,) = watch([seen(0, end=EndReason.FINISHED)])

        assert step.end is not None
        assert (step.end.count, step.end.frames, step.end.missed) == (0, 0, 0)

    def test_nobody_crosses_from_one_session_into_the_next(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        cut = 30
        later = [f.model_copy(update={"session": "second", "seq": f.seq - cut}) for f in frames[cut:]]
        steps = watch([*frames[: cut - 2], *later])

        assert directions(steps) == []
        assert [(path.session, path.final) for path in steps[cut - 2].paths] == [("first", True)]
        assert {track.track for step in steps[cut:] for track in step.tracks.tracks} == {1}

    def test_a_session_may_begin_again_after_its_end(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        counter = fresh()
        watch([*frames, seen(60, end=EndReason.STOPPED)], counter)

        assert counter.state() == CounterState()


class TestSpec:
    OTHER = CountingLine(id="aisle", x1=0.4, y1=0.0, x2=0.4, y2=1.0, in_side=Side.RIGHT)

    def test_lines_that_have_not_changed_go_on(self) -> None:
        frames, counter = film([LEFTWARDS], seconds=6), fresh()
        steps = [counter.step(f, spec(MIDDLE, revision=1)) for f in frames[:29]]
        steps += [counter.step(f, spec(self.OTHER, MIDDLE, revision=2)) for f in frames[29:]]

        assert [(c.line, c.spec_revision) for c in crossings(steps)] == [("door", 2), ("aisle", 2)]

    def test_a_line_that_has_moved_starts_anew(self) -> None:
        frames, counter = film([LEFTWARDS], seconds=6), fresh()
        moved = MIDDLE.model_copy(update={"revision": 2, "x1": 0.51, "x2": 0.51})
        steps = [counter.step(f, spec(MIDDLE)) for f in frames[:29]]
        steps += [counter.step(f, spec(moved, revision=2)) for f in frames[29:]]

        assert crossings(steps) == []

    def test_a_change_right_after_a_restart_keeps_the_unchanged_line(self) -> None:
        frames, first = film([LEFTWARDS], seconds=6), fresh()
        watch(frames[:29], first)
        second = CameraCounter.restore("live", "shop", "cam", first.state())
        steps = [second.step(f, spec(MIDDLE, self.OTHER, revision=2)) for f in frames[29:]]

        assert [c.line for c in crossings(steps)] == ["door", "aisle"]

    def test_the_frame_may_change_its_size_while_somebody_crosses(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        small = [
            f.model_copy(
                update={
                    "width": WIDTH // 2,
                    "height": HEIGHT // 2,
                    "boxes": tuple((a / 2, b / 2, c / 2, d / 2) for a, b, c, d in f.boxes),
                }
            )
            for f in frames[29:]
        ]
        steps = watch([*frames[:29], *small, seen(60, end=EndReason.FINISHED, size=(WIDTH // 2, HEIGHT // 2))])

        assert directions(steps) == ["in"]
        assert [(p.part, p.width, p.final) for step in steps for p in step.paths] == [
            (0, WIDTH, False),
            (1, WIDTH // 2, True),
        ]

    def test_no_line_no_count(self) -> None:
        counter = fresh()
        bare = spec().model_copy(update={"lines": ()})
        steps = [counter.step(frame, bare) for frame in film([LEFTWARDS], seconds=6)]

        assert crossings(steps) == []
        assert len(steps[30].tracks.tracks) == 1


class TestIdentity:
    def test_crossings_of_one_frame_are_ranked_by_their_place(self) -> None:
        ys = [500.0, 150.0, 330.0]
        people = [walk((0.0, 1000.0, y), (6.0, 280.0, y)) for y in ys]
        found = crossings(watch(film(people, seconds=6)))
        seq = found[0].seq

        assert [c.seq for c in found] == [seq] * 3
        assert [c.place for c in found] == sorted(c.place for c in found)
        assert [c.id for c in found] == [crossing_id("cam", "door", 1, "first", seq, Direction.IN, n) for n in range(3)]

    def test_ids_are_unique(self) -> None:
        found = crossings(watch(crowd(0)))

        assert found
        assert len({crossing.id for crossing in found}) == len(found)


class TestBadInput:
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param((math.nan, 0.0, 50.0, 100.0), id="not a number"),
            pytest.param((0.0, 0.0, math.inf, 100.0), id="infinite"),
            pytest.param((100.0, 100.0, 100.0, 200.0), id="no width"),
            pytest.param((200.0, 100.0, 100.0, 200.0), id="inside out"),
            pytest.param((-500.0, 100.0, -400.0, 200.0), id="outside the frame"),
            pytest.param((-1e9, -1e9, 1e9, 1e9), id="huge"),
        ],
    )
    def test_a_box_that_is_none_disturbs_nobody(self, bad: tuple[float, float, float, float]) -> None:
        frames = [
            f.model_copy(update={"boxes": (*f.boxes, bad), "scores": (*f.scores, 0.95)})
            for f in film([LEFTWARDS], seconds=6)
        ]
        counter = fresh()

        assert directions(watch(frames, counter)) == ["in"]
        assert CounterState.model_validate_json(counter.state().model_dump_json()) == counter.state()

    def test_five_hundred_boxes_make_as_many_tracks_as_are_allowed(self) -> None:
        boxes = [box_at(30 + 50 * (n % 25), 20 + 34 * (n // 25), 20, 30) for n in range(500)]
        steps = watch([seen(seq, boxes) for seq in range(4)])

        assert len(steps[-1].tracks.tracks) == MAX_TRACKS


class TestPaths:
    def test_a_long_path_comes_in_numbered_pieces_that_join(self) -> None:
        wanderer: Place = lambda seconds: (400 + 200 * math.sin(seconds / 3), 400.0)  # noqa: E731 - as above
        steps = watch([*film([wanderer], seconds=25), seen(250, end=EndReason.FINISHED)])
        pieces = [path for step in steps for path in step.paths]

        assert [(p.part, p.final) for p in pieces] == [(0, False), (1, False), (2, True)]
        for before, after in pairwise(pieces):
            assert before.points[-1].box == after.points[0].box
            assert before.at + before.points[-1].t * 1_000_000 == after.at

    def test_what_was_never_confirmed_says_so(self) -> None:
        shadow = walk((1.0, 700.0, 400.0), (1.1, 580.0, 400.0))
        steps = watch([*film([shadow, LEFTWARDS], seconds=8), seen(80, end=EndReason.FINISHED)])

        assert [path.confirmed for step in steps for path in step.paths] == [False, False, True]

    def test_frames_that_did_not_show_somebody_are_told(self) -> None:
        steps = watch([*film([hidden(LEFTWARDS, 1.5, 2.0)], seconds=6), seen(60, end=EndReason.FINISHED)])
        (path,) = (path for step in steps for path in step.paths)

        assert path.gaps == ((1400, 2000),)

    def test_a_frame_that_never_came_is_no_gap(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        steps = watch([*frames[:20], *frames[24:], seen(60, end=EndReason.FINISHED)])
        (path,) = (path for step in steps for path in step.paths)

        assert path.gaps == ()


def test_tracks_show_confirmed_people_only() -> None:
    steps: list[Step] = watch(film([LEFTWARDS], seconds=2))

    assert [len(step.tracks.tracks) for step in steps[:4]] == [0, 1, 1, 1]
    assert steps[-1].tracks.tracks[0].track == 1
