"""The crossing rule, apart from tracking."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.events import Box
from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side
from services.tracker.counting.crossing_rule import BAND, CORE, CrossingState, Decision, LineGeometry, conclude

IN, OUT = Direction.IN, Direction.OUT
SIZE = 1000
PERSON = 50.0
"""Width and height of a box: the band is as wide for every line."""
REACH = BAND * PERSON
DOWN = CountingLine(id="down", x1=0.5, y1=0.2, x2=0.5, y2=0.8, in_side=Side.RIGHT)

Point = tuple[float, float]
Path = list[Point]
STATE = TypeAdapter(CrossingState)


def box(x: float, y: float) -> Box:
    return (x - PERSON / 2, y - PERSON / 2, x + PERSON / 2, y + PERSON / 2)


def decide(line: CountingLine, path: Path, *, through_json: bool = False) -> list[Decision]:
    """The crossings of a path with a sighting each second, after which they are not seen again."""
    geometry, state, decisions = LineGeometry.of(line, SIZE, SIZE), None, []
    for second, (x, y) in enumerate(path):
        state, decision = geometry.advance(state, box(x, y), second * 10**9)
        if decision:
            decisions.append(decision)
        if through_json and state:
            state = STATE.validate_json(STATE.dump_json(state))
    last = conclude(line, state) if state else None
    return [*decisions, last] if last else decisions


def directions(line: CountingLine, path: Path) -> list[Direction]:
    return [decision.direction for decision in decide(line, path)]


def row(*xs: float) -> Path:
    """A path along the middle of the picture."""
    return [(x, 500.0) for x in xs]


class TestOneLine:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            pytest.param(row(600, 400), [IN], id="in one step"),
            pytest.param(row(600, 550, 510, 490, 450), [IN], id="in several steps"),
            pytest.param(row(400, 600), [OUT], id="the other way"),
            pytest.param(row(600, 400, 600), [IN, OUT], id="crossing and turning back are two"),
            pytest.param(row(600, 495, 600), [], id="turning back inside the band"),
            pytest.param(row(600, 505, 495, 505, 495, 400), [IN], id="lingering on the line, then on"),
            pytest.param(row(600, 505, 495, 505, 495, 505, 600), [], id="lingering on the line, then back"),
            pytest.param(row(500, 500, 500), [], id="standing exactly on it"),
            pytest.param(row(600, 500, 400), [IN], id="a sighting exactly on it"),
            pytest.param(row(504, 400), [], id="first seen on the line: nobody knows where from"),
            pytest.param(row(600, 496), [], id="last seen on the line: nobody knows where to"),
            pytest.param(row(506, 400), [IN], id="first seen in the band, and over the line"),
            pytest.param(row(506, 496, 505, 600), [], id="first seen in the band, over the line and back"),
            pytest.param(row(494, 400), [], id="first seen in the band beyond the line"),
            pytest.param(row(600, 494), [IN], id="last seen in the band, over the line"),
            pytest.param(row(600, 494, 496), [], id="last seen in the band, coming back to the line"),
            pytest.param(row(600, 494, 400), [IN], id="in the band beyond the line, then on: once"),
            pytest.param(row(400, 600, 494), [OUT, IN], id="over the line, and back into the band"),
            pytest.param(row(506, 494), [], id="never seen beyond the band"),
            pytest.param([(600, 100), (400, 100)], [], id="past the end of the segment"),
            pytest.param([(600, 500), (600, 100), (400, 100), (400, 500)], [], id="around the end of the segment"),
            pytest.param(
                [(600, 500), (400, 500), (400, 100), (600, 100), (600, 500), (400, 500)],
                [IN, IN],
                id="in, back around the end, in again",
            ),
            pytest.param(
                [(600, 500), (495, 500), (495, 100), (505, 100), (600, 500)],
                [],
                id="in the band around the end and home",
            ),
            pytest.param([], [], id="nobody"),
        ],
    )
    def test_counts(self, path: Path, expected: list[Direction]) -> None:
        assert directions(DOWN, path) == expected

    def test_a_line_drawn_the_other_way_with_the_other_side_is_the_same_line(self) -> None:
        turned = CountingLine(id="up", x1=0.5, y1=0.8, x2=0.5, y2=0.2, in_side=Side.LEFT)
        path = row(600, 400, 600, 400)

        assert directions(turned, path) == directions(DOWN, path) == [IN, OUT, IN]

    def test_the_right_of_someone_walking_down_the_picture_is_its_left(self) -> None:
        assert directions(DOWN, row(600, 400)) == [IN]

    def test_the_moment_is_where_the_path_met_the_line_not_where_it_was_decided(self) -> None:
        (decision,) = decide(DOWN, [(600, 440), (520, 480), (495, 505), (493, 510), (400, 530)])

        assert decision.intersection.at == 1_800_000_000
        assert decision.intersection.place == pytest.approx((500 - 200) / 600)

    def test_after_lingering_the_moment_is_the_last_meeting(self) -> None:
        (decision,) = decide(DOWN, row(600, 495, 505, 495, 400))

        assert decision.intersection.at == 2_500_000_000

    def test_the_foot_crosses_before_the_centre_does(self) -> None:
        line = {"x1": 0.0, "y1": 0.5, "x2": 1.0, "y2": 0.5}
        path = [(500.0, y) for y in (400.0, 460.0, 480.0, 490.0)]

        assert directions(CountingLine(id="c", **line, anchor=Anchor.CENTER), path) == []
        assert directions(CountingLine(id="f", **line, anchor=Anchor.FOOT), path) == [IN]

    def test_the_band_grows_with_the_person(self) -> None:
        geometry = LineGeometry.of(DOWN, SIZE, SIZE)

        assert geometry.band((0, 0, 100, 300)) == pytest.approx(BAND * 100)
        assert geometry.band((0, 0, 200, 300)) == pytest.approx(BAND * 200)

    def test_across_a_level_line_the_height_counts(self) -> None:
        level = LineGeometry.of(CountingLine(id="level", x1=0.0, y1=0.5, x2=1.0, y2=0.5), SIZE, SIZE)

        assert level.band((0, 0, 100, 300)) == pytest.approx(BAND * 300)

    def test_the_frame_may_change_its_size_between_two_sightings(self) -> None:
        state, _ = LineGeometry.of(DOWN, 1000, 1000).advance(None, box(600, 500), 0)
        _, decision = LineGeometry.of(DOWN, 500, 500).advance(state, box(200, 250), 10**9)

        assert decision is not None
        assert decision.intersection.at == 500_000_000


coordinate = st.floats(0.0, 1000.0)
paths = st.lists(st.tuples(coordinate, coordinate), max_size=12)


@st.composite
def lines(draw: st.DrawFn) -> CountingLine:
    """Any line."""
    part = st.floats(0.05, 0.95)
    x1, y1, x2, y2 = draw(part), draw(part), draw(part), draw(part)
    assume((x2 - x1) ** 2 + (y2 - y1) ** 2 > 0.01)
    return CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2, in_side=draw(st.sampled_from(list(Side))))


@dataclass(frozen=True)
class Walk:
    """A path over the line `DOWN` made endless: on a side for a while, then in the band, then on a side, and so on."""

    path: Path
    sides: list[int]
    """The sides it stays on, one after the other."""


@st.composite
def walks(draw: st.DrawFn, least_stay: int) -> Walk:
    path: Path = []
    sides = draw(st.lists(st.sampled_from([-1, 1]), min_size=1, max_size=5))
    height = st.floats(0.0, 1000.0)
    for side in sides:
        if path:
            path += [(500.0 + draw(st.floats(-REACH, REACH)), draw(height)) for _ in range(draw(st.integers(0, 3)))]
        stay = draw(st.lists(st.floats(REACH * 1.01, 400.0), min_size=least_stay, max_size=least_stay + 2))
        path += [(500.0 - side * away, draw(height)) for away in stay]
    return Walk(path, sides)


ENDLESS = CountingLine(id="endless", x1=0.5, y1=0.0, x2=0.5, y2=1.0, in_side=Side.RIGHT)


class TestLaws:
    @given(lines(), paths)
    def test_no_crossing_no_count(self, line: CountingLine, path: Path) -> None:
        geometry = LineGeometry.of(line, SIZE, SIZE)
        one_side = [point for point in path if geometry.distance(*point) > 0]

        assert directions(line, one_side) == []

    @given(lines(), paths)
    def test_in_and_out_take_turns_unless_somebody_walks_around_the_end(self, line: CountingLine, path: Path) -> None:
        geometry = LineGeometry.of(line, SIZE, SIZE)
        along = [point for point in path if 0.0 <= geometry.place(*point) <= 1.0]
        found = directions(line, along)

        assert all(a is not b for a, b in pairwise(found))

    @given(lines(), paths)
    def test_mirror_the_picture_and_in_and_out_swap(self, line: CountingLine, path: Path) -> None:
        mirrored = line.model_copy(update={"x1": 1.0 - line.x1, "x2": 1.0 - line.x2})
        swapped = {IN: OUT, OUT: IN}

        assert directions(mirrored, [(SIZE - x, y) for x, y in path]) == [swapped[d] for d in directions(line, path)]

    @given(lines(), paths)
    def test_name_the_other_side_and_in_and_out_swap(self, line: CountingLine, path: Path) -> None:
        other = line.model_copy(update={"in_side": Side.LEFT if line.in_side is Side.RIGHT else Side.RIGHT})
        swapped = {IN: OUT, OUT: IN}

        assert directions(other, path) == [swapped[d] for d in directions(line, path)]

    @given(lines(), paths)
    def test_walk_a_path_backwards_and_in_and_out_swap(self, line: CountingLine, path: Path) -> None:
        swapped = {IN: OUT, OUT: IN}

        assert directions(line, path[::-1]) == [swapped[d] for d in directions(line, path)][::-1]

    @given(lines(), paths)
    def test_a_passage_kept_as_json_after_every_sighting_changes_nothing(self, line: CountingLine, path: Path) -> None:
        assert decide(line, path, through_json=True) == decide(line, path)

    @given(walks(least_stay=1))
    def test_each_change_of_sides_is_one_crossing(self, walk: Walk) -> None:
        changes = [IN if b > 0 else OUT for a, b in pairwise(walk.sides) if a != b]

        assert directions(ENDLESS, walk.path) == changes

    @given(walks(least_stay=2), st.data())
    def test_drop_a_sighting_and_the_totals_stand(self, walk: Walk, data: st.DataObject) -> None:
        gone = data.draw(st.integers(0, len(walk.path) - 1))

        assert directions(ENDLESS, walk.path[:gone] + walk.path[gone + 1 :]) == directions(ENDLESS, walk.path)

    @given(walks(least_stay=1), st.data())
    def test_see_a_frame_twice_and_the_totals_stand(self, walk: Walk, data: st.DataObject) -> None:
        twice = data.draw(st.integers(0, len(walk.path) - 1))

        assert directions(ENDLESS, walk.path[: twice + 1] + walk.path[twice:]) == directions(ENDLESS, walk.path)

    @given(lines(), coordinate, coordinate, st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=20))
    def test_swaying_counts_nothing(self, line: CountingLine, x: float, y: float, sway: list[Point]) -> None:
        """Wherever they stand, by less than from the core of the band to its other edge. `REACH` is its least width."""
        k = REACH * (1 + CORE) / 2 / 2**0.5

        assert directions(line, [(x + k * dx, y + k * dy) for dx, dy in sway]) == []

    @given(lines(), coordinate, coordinate, st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=20))
    def test_swaying_by_less_than_the_band_counts_nothing_for_who_walked_up_to_the_line(
        self, line: CountingLine, x: float, y: float, sway: list[Point]
    ) -> None:
        geometry, k = LineGeometry.of(line, SIZE, SIZE), REACH / 2**0.5
        away = 2 * PERSON / geometry.length * (1 if geometry.distance(x, y) >= 0 else -1)
        before = (x - away * geometry.dy, y + away * geometry.dx)

        assert directions(line, [before, *((x + k * dx, y + k * dy) for dx, dy in sway), before]) == []
