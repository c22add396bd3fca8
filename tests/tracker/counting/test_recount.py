"""People counted over lines that were not there, from the paths that the tracker published: as if tracked anew."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from contracts.events import Box, Crossing, Detections, Path
from contracts.frames import EndReason
from contracts.spec import Anchor, CameraSpec, CountingLine, Side
from services.tracker.counting.camera_counter import CameraCounter
from services.tracker.counting.recount import LATEST, WALK_EVERY, Recount
from tests.support import hour
from tests.support.seen_door import SPEC
from tests.tracker.counting.test_camera_counter import LEFTWARDS, RIGHTWARDS, crowd
from tests.tracker.scenes import HEIGHT, MIDDLE, START, WIDTH, Place, box_at, film, hidden, seen, walk

Totals = Counter[tuple[str, str]]
"""How many crossings, by line and direction."""

END = EndReason.FINISHED
MOVED = CountingLine(id="moved", revision=2, x1=0.45, y1=0.0, x2=0.45, y2=1.0)
LINES = (
    MOVED,
    CountingLine(id="door", x1=0.5, y1=0.0, x2=0.5, y2=1.0, anchor=Anchor.FOOT),
    CountingLine(id="slant", x1=0.7, y1=0.1, x2=0.3, y2=0.9, in_side=Side.LEFT),
    CountingLine(id="short", x1=0.6, y1=0.4, x2=0.6, y2=0.7),
    CountingLine(id="level", x1=0.0, y1=0.6, x2=1.0, y2=0.6),
)


def over(frames: Iterable[Detections], *lines: CountingLine) -> tuple[list[Crossing], list[Path]]:
    """The crossings of a camera with these lines, and its paths as they travel."""
    counter, spec = CameraCounter("live", "shop", "cam"), CameraSpec(store="shop", camera="cam", lines=lines)
    steps = [counter.step(frame, spec) for frame in frames]
    paths = [Path.model_validate_json(path.encode()) for step in steps for path in step.paths]
    return [crossing for step in steps for crossing in step.crossings], paths


def recounted(paths: Iterable[Path], *lines: CountingLine) -> list[Crossing]:
    """The crossings of the paths over other lines."""
    recount = Recount("again", "cam", lines)
    return [*(crossing for path in paths for crossing in recount.take(path)), *recount.finish()]


def totals(crossings: Iterable[Crossing]) -> Totals:
    return Counter((crossing.line, crossing.direction.value) for crossing in crossings)


def assert_recounted(frames: Sequence[Detections], *lines: CountingLine) -> list[Crossing]:
    """A recount with other lines equals a tracking with these lines. Returns the recounted."""
    tracked, _ = over(frames, *lines)
    _, paths = over(frames, MIDDLE)
    found = recounted(paths, *lines)
    assert totals(found) == totals(tracked)
    return found


def ended(frames: list[Detections]) -> list[Detections]:
    return [*frames, seen(len(frames), end=END)]


def of(people: Sequence[Place], seconds: float, **said: float) -> list[Detections]:
    return ended(film(people, seconds=seconds, **said))


class TestEqual:
    def test_an_hour_of_a_shop_counts_what_a_new_tracking_counts(self) -> None:
        """A line that was moved by so many hundredths of the picture's height."""
        line, shifts = SPEC.lines[0], (-4, -2, 2, 4, 8, 16)
        moved = [
            line.model_copy(update={"id": f"by{shift}", "y1": line.y1 + shift / 100, "y2": line.y2 + shift / 100})
            for shift in shifts
        ]
        # One tracking for both: where people go does not depend on the lines, as the other tests show.
        tracked, paths = over(hour.seen("cam", 3600.0, people_per_min=2.8, seed=5), line, *moved)

        found = recounted(paths, line, *moved)

        assert totals(found) == totals(tracked)
        assert len(found) > 150 * len(shifts)

    def test_of_crowds_that_are_seen_badly_one_crossing_in_five_hundred_may_differ(self) -> None:
        """Paths are simplified: who turns back just at a band's edge may be over it in one only."""
        off, counted = 0, 0
        for seed in range(30):
            frames = ended(crowd(seed, people=6))
            tracked, _ = over(frames, *LINES)
            _, paths = over(frames, MIDDLE)
            new, old = totals(recounted(paths, *LINES)), totals(tracked)
            off += sum(((new - old) + (old - new)).values())
            counted += len(tracked)

        assert counted > 500
        assert off <= counted / 500

    def test_somebody_who_comes_into_view_at_the_moved_line(self) -> None:
        late = walk((0.0, MOVED.x1 * WIDTH + 8, 400.0), (2.0, 300.0, 400.0))

        assert totals(assert_recounted(of([late], 2), MOVED)) == {("moved", "in"): 1}

    def test_somebody_who_vanishes_at_the_moved_line(self) -> None:
        gone = walk((0.0, 1000.0, 400.0), (3.0, MOVED.x1 * WIDTH - 8, 400.0))

        assert totals(assert_recounted(of([gone], 3.2), MOVED)) == {("moved", "in"): 1}

    def test_somebody_whose_track_breaks_at_the_moved_line(self) -> None:
        def box(seq: int) -> Box:
            x = 1000 - 12.0 * seq
            return box_at(x, 400) if x > MOVED.x1 * WIDTH else box_at(x - 20, 420, 170, 58)

        frames = ended([seen(seq, [box(seq)]) for seq in range(80)])
        _, paths = over(frames, MIDDLE)

        assert len({path.track for path in paths}) == 2
        assert totals(assert_recounted(frames, MOVED)) == {("moved", "in"): 1}

    def test_a_box_that_nobody_owns_for_long_takes_a_track_over_there_as_well(self) -> None:
        """A box that is seen once where somebody vanished: no person, but it is who went on there."""
        x = MOVED.x1 * WIDTH
        frames = [seen(seq, [box_at(x + 288 - 12.0 * seq, 400)]) for seq in range(26)]
        frames += [seen(26, [box_at(x - 10, 435, 170, 58)], score=0.6), *(seen(seq) for seq in range(27, 60))]

        assert totals(assert_recounted(ended(frames), MOVED)) == {}
        _, paths = over(ended(frames), MIDDLE)
        assert totals(recounted([path for path in paths if path.confirmed], MOVED)) == {("moved", "in"): 1}

    def test_somebody_who_hides_behind_a_post_on_it(self) -> None:
        hides = hidden(walk((0.0, 1000.0, 400.0), (6.0, 280.0, 400.0)), 3.2, 4.6)

        assert_recounted(of([hides, RIGHTWARDS], 6), *LINES)

    def test_a_frame_that_changes_its_size_on_the_way(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        halves = [
            seen(frame.seq, [tuple(edge / 2 for edge in box) for box in frame.boxes], size=(WIDTH // 2, HEIGHT // 2))  # type: ignore[misc]  # four edges
            for frame in frames[30:]
        ]
        end = seen(60, end=END, size=(WIDTH // 2, HEIGHT // 2))

        assert totals(assert_recounted([*frames[:30], *halves, end], MOVED)) == {("moved", "in"): 1}


class TestCrossings:
    def test_they_say_when_and_where_as_nearly_as_the_paths_do(self) -> None:
        frames = of([LEFTWARDS], 6)
        (tracked,), (found,) = over(frames, MOVED)[0], assert_recounted(frames, MOVED)

        assert found.at == pytest.approx(tracked.at, abs=5e7)
        assert found.place == pytest.approx(tracked.place, abs=0.01)
        assert (found.run, found.store, found.line_revision, found.model) == ("again", "shop", 2, None)

    def test_their_ids_are_unique_and_the_same_every_time(self) -> None:
        _, paths = over(ended(crowd(3)), MIDDLE)
        first, again = recounted(paths, *LINES), recounted(paths, *LINES)

        assert first == again
        assert len({crossing.id for crossing in first}) == len(first) > 5

    def test_a_path_that_comes_again_adds_nothing(self) -> None:
        _, paths = over(ended(crowd(3)), MIDDLE)

        assert recounted([*paths, *paths[2:]], *LINES) == recounted(paths, *LINES)


class TestSessions:
    def test_nobody_goes_on_from_one_into_the_next(self) -> None:
        frames = film([LEFTWARDS], seconds=6)
        first = [*frames[:32], seen(32, end=EndReason.LOST)]
        later = [frame.model_copy(update={"session": "second", "seq": frame.seq - 36}) for frame in frames[36:]]

        assert_recounted([*first, *later, seen(24, end=END, session="second", seconds=6)], MOVED)

    def test_a_session_of_hours_is_decided_on_the_way(self) -> None:
        """Two people an hour, for five: what is known for certain is not kept until the end."""
        people = [
            walk(*((1800.0 * number + after, x, 400.0) for after, x in ((0.0, 1000.0), (6.0, 280.0))))
            for number in range(10)
        ]
        paths = over(of(people, 5 * 3600, fps=1.0), MIDDLE)[1]
        recount = Recount("again", "cam", [MOVED])
        by_path = [recount.take(path) for path in paths]

        assert [len(found) for found in by_path] == [0, *[1] * 9]
        assert LATEST + WALK_EVERY < 1800e9
        assert len(recount.finish()) == 1

    def test_several_who_come_together_after_hours_of_nobody(self) -> None:
        """Once somebody comes, all before is decided; of those who come with them nothing is, yet."""
        early = walk((0.0, 1000.0, 300.0), (6.0, 280.0, 300.0))
        late = [
            walk((7200.0 + after, 1000.0, 300.0 + 60 * after), (7206.0 + after, 280.0, 300.0 + 60 * after))
            for after in range(4)
        ]

        assert len(assert_recounted(of([early, *late], 7220, fps=2.0), MOVED)) == 5

    def test_a_track_whose_end_is_lost_is_counted_all_the_same(self) -> None:
        wanders = walk((0.0, 1000.0, 400.0), (4.0, 280.0, 400.0), (14.0, 280.0, 300.0))
        _, paths = over(of([wanders], 14), MIDDLE)

        assert [path.final for path in paths] == [False, True]
        assert totals(recounted(paths[:1], MOVED)) == {("moved", "in"): 1}

    def test_paths_of_a_tracker_of_before_are_counted_as_well(self) -> None:
        """They know no gaps, and nothing of what was never confirmed."""
        _, paths = over(of([LEFTWARDS, RIGHTWARDS], 6), MIDDLE)
        old = [Path.model_validate(path.model_dump(exclude={"gaps", "confirmed"})) for path in paths if path.confirmed]

        assert totals(recounted(old, MOVED)) == {("moved", "in"): 1, ("moved", "out"): 1}

    def test_no_path_no_crossing(self) -> None:
        assert recounted([], *LINES) == []


def test_paths_may_come_in_the_order_of_their_ends() -> None:
    """Whoever stays long is published last; the others meanwhile."""
    chance = random.Random(1)
    stays = walk((0.0, 900.0, 300.0), (9.0, 880.0, 300.0), (12.0, 300.0, 300.0))
    passes = [
        walk((begin, 1000.0, y), (begin + 5, 280.0, y))
        for begin, y in zip((0.5, 3.0, 6.0), chance.sample(range(420, 700, 80), 3), strict=True)
    ]
    frames = of([stays, *passes], 14)
    paths = over(frames, MIDDLE)[1]

    assert [path.at for path in paths] != sorted(path.at for path in paths)
    assert min(path.at for path in paths) == START
    assert_recounted(frames, *LINES)
