"""The findings of `metrica doctor` on synthetic people, views and lines: each way to miss people has its own words."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from contracts.spec import CountingLine, Side
from services.cli.diagnosis.checks_people import about_people
from services.cli.diagnosis.checks_view import about_view
from services.cli.diagnosis.examination import Diagnosis, Observation, diagnose
from services.cli.diagnosis.findings import Code, Severity
from services.cli.diagnosis.proposal import propose
from services.cli.diagnosis.trajectories import Trajectory, trajectory_of
from services.cli.diagnosis.view import ViewFigures, ViewMeter
from services.kit.codec import Image

SIZE = (640, 360)
GOOD = ViewFigures(
    frames=600, brightness=110, highlights=200, contrast=150, still_seconds=0.2, jolts=0.0, moved=0.0
)  # fmt: skip
MIDDLE = CountingLine(id="line", x1=0.5, y1=0.05, x2=0.5, y2=0.95, in_side=Side.LEFT)

Point = tuple[float, float]


def person(*points: Point, seconds: float = 8.0, height: float = 60.0, begin: float = 0.0) -> Trajectory:
    """Somebody who goes from point to point (of the box's middle, pixels) in even times."""
    places = np.array(points, np.float64)
    half = np.array([height * 0.2, height / 2])
    walk = trajectory_of(np.linspace(begin, begin + seconds, len(points)), np.hstack([places - half, places + half]))
    assert walk is not None
    return walk


def stream(count: int = 6, *, left: float = 40.0, right: float = 600.0, back: bool = True) -> list[Trajectory]:
    """People on ways side by side through the whole picture; every second one comes back where `back`."""
    ways = [((left, 100.0 + 25 * i), (right, 100.0 + 25 * i)) for i in range(count)]
    return [person(*(way[::-1] if back and i % 2 else way)) for i, way in enumerate(ways)]


def examined(walks: list[Trajectory], *lines: CountingLine, view: ViewFigures = GOOD, rate: float = 10.0) -> Diagnosis:
    seen = Observation(size=SIZE, seconds=60, rate=rate, scale=0.7, view=view, walks=tuple(walks))
    return diagnose(seen, lines)


def codes(diagnosis: Diagnosis) -> list[Code]:
    return [finding.code for finding in diagnosis.findings]


class TestLine:
    def test_one_that_everybody_crosses_is_well(self) -> None:
        diagnosis = examined(stream(), MIDDLE)

        assert codes(diagnosis) == [Code.ALL_WELL]
        assert diagnosis.well
        assert "IN 3 and OUT 3" in diagnosis.findings[0].sentence

    def test_outside_where_people_walk(self) -> None:
        corner = MIDDLE.model_copy(update={"x1": 0.02, "y1": 0.05, "x2": 0.15, "y2": 0.05})
        diagnosis = examined(stream(), corner)

        assert codes(diagnosis) == [Code.LINE_OUTSIDE]
        assert diagnosis.proposal is not None
        assert diagnosis.proposal.pasted in diagnosis.findings[0].advice

    def test_along_the_way(self) -> None:
        along = MIDDLE.model_copy(update={"x1": 0.05, "y1": 0.45, "x2": 0.95, "y2": 0.47})

        assert codes(examined(stream(), along)) == [Code.LINE_ALONG]

    def test_where_people_come_into_view(self) -> None:
        edge = MIDDLE.model_copy(update={"x1": 0.06, "x2": 0.06})

        assert codes(examined(stream(left=42.0), edge)) == [Code.LINE_AT_THE_END]

    def test_where_people_turn(self) -> None:
        walks = [person((40, y), (300, y), (40, y)) for y in (120.0, 160.0, 200.0)]

        assert codes(examined(walks, MIDDLE)) == [Code.NO_CROSSING]

    def test_that_people_walk_around(self) -> None:
        short = MIDDLE.model_copy(update={"y1": 0.25, "y2": 0.5})
        diagnosis = examined(stream(8), short)
        (finding,) = diagnosis.findings

        assert finding.code is Code.LINE_TOO_SHORT
        assert "the second point to 0.50,0." in finding.advice
        assert "the first point" not in finding.advice

    def test_lengthened_as_told_everybody_crosses_it(self) -> None:
        short = MIDDLE.model_copy(update={"y1": 0.25, "y2": 0.5})
        (finding,) = examined(stream(8), short).findings
        x, y = (float(part) for part in finding.advice.rsplit(" ", 1)[1].split(","))

        assert examined(stream(8), short.model_copy(update={"x2": x, "y2": y})).well

    def test_on_which_people_stand(self) -> None:
        standing = person((40, 150), (318, 150), (322, 150), (321, 150), (600, 150), seconds=24)
        diagnosis = examined([*stream(), standing], MIDDLE)

        assert codes(diagnosis) == [Code.STANDING_ON_LINE]
        assert not diagnosis.well

    def test_beside_which_people_stand_a_step_away_is_well(self) -> None:
        standing = person((40, 150), (268, 150), (272, 150), (271, 150), (600, 150), seconds=24)

        assert examined([*stream(), standing], MIDDLE).well

    def test_that_is_named_is_named_in_the_finding(self) -> None:
        corner = CountingLine(id="back-door", x1=0.02, y1=0.05, x2=0.15, y2=0.05)
        (finding,) = [one for one in examined(stream(), MIDDLE, corner).findings if one.line == "back-door"]

        assert finding.what.startswith("line back-door: ")


class TestNobodyWalks:
    """A place with people, of whom none gets about, is never said to be well."""

    STANDING = person((400, 150), (430, 150), seconds=5)

    def test_people_who_stand_are_told_to_be_nobody_to_count(self) -> None:
        diagnosis = examined([self.STANDING], MIDDLE)

        assert codes(diagnosis) == [Code.NOBODY_WALKS]
        assert not diagnosis.well
        assert "1 person is seen, and none walks" in diagnosis.findings[0].what

    def test_without_a_line_too(self) -> None:
        assert Code.NOBODY_WALKS in codes(examined([self.STANDING]))

    def test_what_moves_and_is_not_followed_is_told(self) -> None:
        seen = Observation(
            size=SIZE, seconds=60, rate=10, scale=0.7, view=GOOD, walks=(self.STANDING,), movers=tuple(stream(2))
        )

        assert "2 things that move are not followed as people" in diagnose(seen, (MIDDLE,)).findings[0].advice

    def test_whoever_crosses_walks(self) -> None:
        wide = person((260, 180), (380, 180), height=300, seconds=2)  # by less than their width

        diagnosis = examined([wide], MIDDLE)
        assert codes(diagnosis) == [Code.ALL_WELL]
        assert "1 person walks, IN 1 and OUT 0" in diagnosis.findings[0].what


class TestSwapped:
    def test_all_who_come_through_a_door_and_go_out_raise_a_question(self) -> None:
        inwards_is_out = MIDDLE.model_copy(update={"in_side": Side.RIGHT})
        walks = stream(8, left=80.0, back=False)  # they appear in mid-picture on the right-hand, IN side
        diagnosis = examined(walks, inwards_is_out)

        assert Code.SWAPPED in codes(diagnosis)
        assert "?" in next(one.what for one in diagnosis.findings if one.code is Code.SWAPPED)
        assert diagnosis.well, "a question is no fault"

    def test_closing_time_does_not(self) -> None:
        inwards_is_out = MIDDLE.model_copy(update={"in_side": Side.RIGHT})

        assert codes(examined(stream(8, left=8.0, back=False), inwards_is_out)) == [Code.ALL_WELL]

    def test_both_ways_do_not(self) -> None:
        assert Code.SWAPPED not in codes(examined(stream(8, left=80.0), MIDDLE))


class TestProposal:
    @pytest.mark.parametrize("degrees", [0, 30, 60, 90, 120])
    def test_is_straight_across_the_flow_and_all_cross_it(self, degrees: int) -> None:
        way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        aside = np.array([-way[1], way[0]])
        centres = [np.array([320, 180]) + aside * (12 * i - 30) for i in range(6)]
        walks = [person(tuple(c - way * 140), tuple(c + way * 140), height=40) for c in centres]
        proposal = propose(walks, SIZE)

        assert proposal is not None
        assert proposal.people == 6
        line = np.array([(proposal.line.x2 - proposal.line.x1) * 640, (proposal.line.y2 - proposal.line.y1) * 360])
        assert abs(line @ way) / np.hypot(*line) < 0.15

    def test_lies_where_paths_are_long_on_both_sides(self) -> None:
        walks = [person((60.0, y), (600.0, y)) for y in (120.0, 160.0)] + [
            person((300.0, y), (600.0, y)) for y in (200.0, 240.0)
        ]
        proposal = propose(walks, SIZE)

        assert proposal is not None
        assert 360 < proposal.line.x1 * 640 < 540

    def test_keeps_away_from_where_people_stand(self) -> None:
        queue = [person((320.0, y), (321.0, y), seconds=50) for y in (130.0, 180.0, 230.0)]
        proposal = propose([*stream(), *queue], SIZE)

        assert proposal is not None
        assert abs(proposal.line.x1 * 640 - 320) > 10

    @pytest.mark.parametrize("side", list(Side))
    @pytest.mark.parametrize("turned", [False, True])
    def test_keeps_the_in_side_of_the_line_there_is(self, side: Side, turned: bool) -> None:
        line = MIDDLE.model_copy(update={"x1": 0.9, "x2": 0.9, "in_side": side})
        if turned:
            line = line.model_copy(update={"y1": line.y2, "y2": line.y1})
        walks = stream(back=False)
        proposal = propose(walks, SIZE, line)

        assert proposal is not None
        assert proposal.side_known
        there = examined(walks, line.model_copy(update={"x1": 0.5, "x2": 0.5})).findings[-1].figures
        assert (proposal.ins, proposal.outs) == (there["in"], there["out"])

    def test_leads_in_from_a_doorway_where_there_is_no_line(self) -> None:
        proposal = propose(stream(left=80.0, right=628.0), SIZE)  # the door is left in the picture

        assert proposal is not None
        assert not proposal.side_known
        assert (proposal.ins, proposal.outs) == (3, 3)
        assert (proposal.line.in_side is Side.LEFT) == (proposal.line.y1 < proposal.line.y2)

    def test_is_none_of_one_person(self) -> None:
        assert propose(stream(1), SIZE) is None

    def test_is_none_of_people_who_stand(self) -> None:
        assert propose([person((100, y), (103, y)) for y in (90.0, 150.0, 210.0)], SIZE) is None

    def test_is_what_a_camera_without_a_line_is_told(self) -> None:
        diagnosis = examined(stream())

        assert codes(diagnosis) == [Code.NO_LINE]
        assert "LINE=" in diagnosis.findings[0].advice


class TestPeople:
    def test_small_ones(self) -> None:
        (finding,) = about_people(
            [person((40, 90), (600, 90), height=30)], [], scale=0.5, rate=10, dark=False
        )  # fmt: skip

        assert finding.code is Code.TOO_SMALL
        assert finding.figures["input_height"] == pytest.approx(15)

    def test_large_ones_say_nothing(self) -> None:
        assert not list(about_people(stream(), [], scale=0.7, rate=10, dark=False))

    def test_none_where_nothing_moves(self) -> None:
        (finding,) = about_people([], [], scale=0.5, rate=10, dark=False)

        assert finding.code is Code.NOBODY
        assert "another" not in finding.what
        assert "look again" in finding.advice

    def test_none_where_small_things_move(self) -> None:
        (finding,) = about_people(
            [], [person((40, 90), (600, 90), height=20)], scale=0.5, rate=10, dark=False
        )  # fmt: skip

        assert finding.code is Code.TOO_SMALL

    def test_none_in_the_dark(self) -> None:
        (finding,) = about_people([], [], scale=0.5, rate=10, dark=True)

        assert "light" in finding.advice

    def test_faster_than_the_frames(self) -> None:
        walks = [person((40, y), (600, y), seconds=7) for y in (100.0, 200.0)]  # 80 px/s, 24 px wide
        (finding,) = about_people(walks, [], scale=0.7, rate=2, dark=False)

        assert finding.code is Code.RATE_TOO_LOW
        assert finding.figures["widths_per_frame"] == pytest.approx(80 / 24 / 2, rel=0.05)

    def test_rate_too_low_for_anybody(self) -> None:
        found = [finding.code for finding in about_people([], [], scale=0.7, rate=1, dark=False)]

        assert found == [Code.NOBODY, Code.RATE_TOO_LOW]


class TestView:
    @staticmethod
    def measured(pictures: list[Image]) -> ViewFigures:
        meter = ViewMeter()
        for number, picture in enumerate(pictures):
            meter.add(picture, number / 10)
        return meter.view()

    @staticmethod
    def scene(gain: float = 1.0) -> Image:
        rng = np.random.default_rng(5)
        blocks = rng.integers(30, 220, (18, 32, 3)).astype(np.float32) * gain
        return cv2.resize(blocks, SIZE, interpolation=cv2.INTER_NEAREST).clip(0, 255).astype(np.uint8)

    def noisy(self, count: int, picture: Image) -> list[Image]:
        rng = np.random.default_rng(6)
        return [
            (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8) for _ in range(count)
        ]  # fmt: skip

    def codes(self, pictures: list[Image]) -> list[Code]:
        return [finding.code for finding in about_view(self.measured(pictures), people=0)]

    def test_good_one_says_nothing(self) -> None:
        assert self.codes(self.noisy(20, self.scene())) == []

    def test_dark(self) -> None:
        assert self.codes(self.noisy(5, self.scene(0.2))) == [Code.TOO_DARK]

    def test_black(self) -> None:
        assert self.codes(self.noisy(5, self.scene(0.01))) == [Code.BLACK]

    def test_flat(self) -> None:
        assert self.codes(self.noisy(5, (self.scene(0.1) + 120).astype(np.uint8))) == [Code.LOW_CONTRAST]

    def test_frozen(self) -> None:
        assert self.codes([self.scene()] * 100) == [Code.FROZEN]

    def test_shaking(self) -> None:
        scene = self.scene()
        rng = np.random.default_rng(3)
        shaken = [np.roll(scene, tuple(rng.integers(-6, 7, 2)), axis=(0, 1)) for _ in range(30)]

        assert self.codes(shaken) == [Code.CAMERA_SHAKES]

    def test_turned_once(self) -> None:
        before = self.noisy(20, self.scene())
        after = self.noisy(60, np.roll(self.scene(), 30, axis=1))

        assert self.codes(before + after) == [Code.CAMERA_MOVED]

    def test_somebody_who_walks_past_does_not_shake_it(self) -> None:
        pictures = self.noisy(30, self.scene())
        for number, picture in enumerate(pictures):
            picture[60:300, 20 * number : 20 * number + 120] = 90

        assert self.codes(pictures) == []

    def test_scene_is_empty_of_those_who_walk(self) -> None:
        meter = ViewMeter()
        for number in range(30):
            picture = self.scene()
            picture[60:300, 20 * number : 20 * number + 60] = 0
            meter.add(picture, number / 10)

        assert (meter.scene() == self.scene()).mean() > 0.99


def test_the_gravest_comes_first() -> None:
    dark = ViewFigures(
        **{name: getattr(GOOD, name) for name in ViewFigures.__slots__} | {"brightness": 20.0, "jolts": 0.5}
    )
    corner = MIDDLE.model_copy(update={"x1": 0.02, "y1": 0.05, "x2": 0.15, "y2": 0.05})
    diagnosis = examined(stream(), corner, view=dark)

    assert codes(diagnosis) == [Code.TOO_DARK, Code.LINE_OUTSIDE, Code.CAMERA_SHAKES]
    assert [one.severity for one in diagnosis.findings] == [Severity.PROBLEM, Severity.PROBLEM, Severity.WARNING]
