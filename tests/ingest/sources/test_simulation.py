"""The rules of the simulated door: known truth, the same pictures for the same address, a camera's behaviour."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import numpy as np
import pytest

from contracts.identity import Direction, Policy
from contracts.spec import Side
from services.ingest.simulator.geometry import LINE_Y, centre_at
from services.ingest.simulator.trajectories import Spacing, script
from services.ingest.source import SourceRefused, decimate
from services.ingest.sources.simulation import SimulatedDoor, open_simulation
from tests.support.grabbing import frames

SMALL = "width=320&height=180"


def door(parameters: str) -> SimulatedDoor:
    return open_simulation(f"sim://door?{parameters}")


class TestParameters:
    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ("persons=3", "a parameter is unknown; there are people, pace"),
            ("people=0", "people: input should be greater than or equal to 1"),
            ("people=many", "people: input should be a valid integer"),
            ("fps=1000", "fps: input should be less than or equal to 60"),
            ("pace=fast", "pace: input should be 'real' or 'max'"),
            ("seed=", "seed: "),
            ("width=1", "width: input should be greater than or equal to 160"),
            ("people=3&people=4", "given twice"),
            ("pace=max", "pace=max needs people"),
            ("spacing=clear&people_per_min=60", "people_per_min up to 24"),
        ],
    )
    def test_wrong_one_is_refused_by_its_name(self, parameters: str, words: str) -> None:
        with pytest.raises(SourceRefused, match=words):
            door(parameters)

    def test_name_spells_out_the_defaults(self) -> None:
        assert door("people=2").name == door("seed=7&people=2&fps=10").name
        assert door("people=2").content_sha256() != door("people=2&seed=8").content_sha256()

    def test_without_a_question_mark_people_come_for_ever_in_real_time(self) -> None:
        endless = open_simulation("sim://door")

        assert (endless.length, endless.policy) == (None, Policy.LATEST)


class TestTruth:
    def test_clear_people_each_cross_once(self) -> None:
        truth = door("people=200&pace=max&spacing=clear").truth()

        assert len(truth) == 200
        assert min(Counter(crossing.direction for crossing in truth).values()) > 60

    def test_natural_people_do_what_people_do(self) -> None:
        walks = list(script(7, Spacing.NATURAL, 20, 400))
        crossings = Counter(len(walk.crossings()) for walk in walks)
        begins = [walk.begin for walk in walks]
        stood = sum(bool(np.any(np.all(np.diff(walk.feet, axis=0) == 0, axis=1))) for walk in walks)

        assert crossings[0] >= 8, "some turn back before the line"
        assert crossings[2] >= 8, "some turn back behind it"
        assert sum(b - a < 0.2 for a, b in itertools.pairwise(begins)) > 40, "pairs"
        assert stood > 60, "some stop"
        assert begins == sorted(begins)

    def test_who_turns_back_does_so_clearly(self) -> None:
        for walk in script(7, Spacing.NATURAL, 20, 300):
            if len(walk.crossings()) != 1:
                turn = walk.feet[len(walk.feet) // 2 :, 1]
                foot = turn.min() if walk.feet[0, 1] > LINE_Y else turn.max()
                above = foot < LINE_Y and centre_at(foot, walk.stature) < LINE_Y
                below = foot > LINE_Y and centre_at(foot, walk.stature) > LINE_Y + 20
                assert above or below

    def test_rate_is_as_asked(self) -> None:
        walks = list(script(3, Spacing.NATURAL, 30, 600))

        assert 600 / (walks[-1].begin / 60) == pytest.approx(30, rel=0.15)

    def test_truth_up_to_a_moment_is_the_beginning_of_the_whole(self) -> None:
        finite = door("people=40&pace=max")
        whole = finite.truth()

        assert finite.truth(60 * 10**9) == [crossing for crossing in whole if crossing.at_ns <= 60 * 10**9]
        assert door("").truth(60 * 10**9) == finite.truth(60 * 10**9)

    def test_endless_simulation_has_no_whole_truth(self) -> None:
        with pytest.raises(ValueError, match="needs an end: give until_ns"):
            door("").truth()

    def test_line_lies_where_truth_counts(self) -> None:
        line = door("people=1").line

        assert line.y1 * 360 == pytest.approx(LINE_Y)
        assert line.in_side is Side.RIGHT, "walking to the right, IN is down the picture, towards the camera"

    def test_crossing_is_seen_in_the_pictures_when_truth_says_so(self) -> None:
        # Who comes IN is lower in the picture after the crossing than before.
        simulated = door(f"people=1&pace=max&spacing=clear&{SMALL}")
        (crossing,) = simulated.truth()
        empty, *_ = (grabbed.image for grabbed in frames(simulated, None))

        def middle(at_ns: int) -> float:
            fresh = door(f"people=1&pace=max&spacing=clear&{SMALL}")
            while (pts := fresh.grab()) is not None and pts < at_ns:
                pass
            changed = np.abs(fresh.retrieve().astype(int) - empty).sum(axis=2) > 70
            return float(np.nonzero(changed)[0].mean()) / 180 * 360

        before, after = middle(crossing.at_ns - 10**9), middle(crossing.at_ns + 10**9)
        assert (before < LINE_Y < after) if crossing.direction is Direction.IN else (after < LINE_Y < before)


class TestPictures:
    def test_same_address_gives_the_same_pictures(self) -> None:
        first, second = (
            [grabbed.image for grabbed in itertools.islice(frames(door(f"people=5&pace=max&{SMALL}"), None), 90)]
            for _ in range(2)
        )

        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    def test_another_seed_gives_others(self) -> None:
        pictures = []
        for seed in (1, 2):
            simulated = door(f"people=5&pace=max&seed={seed}&{SMALL}")
            simulated.grab()
            pictures.append(simulated.retrieve())

        assert not np.array_equal(pictures[0], pictures[1])

    def test_frame_does_not_depend_on_those_before_it(self) -> None:
        read = {grabbed.index: grabbed.image for grabbed in frames(door(f"people=3&pace=max&{SMALL}"), None)}

        simulated = door(f"people=3&pace=max&{SMALL}")
        for index, _ in decimate(simulated, None):
            if index in (60, 61, 90):
                assert np.array_equal(simulated.retrieve(), read[index])

    def test_it_begins_and_ends_empty(self) -> None:
        simulated = door(f"people=2&pace=max&spacing=clear&{SMALL}")
        pictures = [grabbed.image for grabbed in frames(simulated, None)]

        def difference(a: int, b: int) -> float:
            # The light drifts, so pictures are compared by their structure alone.
            one, other = (pictures[i].astype(float) - pictures[i].mean() for i in (a, b))
            return float((np.abs(one - other).sum(axis=2) > 70).mean())

        assert len(pictures) == simulated.length
        assert difference(0, 30) < 0.001
        assert difference(0, -1) < 0.002
        assert difference(0, 70) > 0.005

    def test_noise_is_a_cheap_cameras(self) -> None:
        first, second = (grabbed.image.astype(float) for grabbed in itertools.islice(frames(door("people=1"), None), 2))

        assert 2.5 < (first - second).std() / 2**0.5 < 4

    @pytest.mark.parametrize("size", [(160, 90), (640, 360), (1280, 720)])
    def test_any_size_can_be_had(self, size: tuple[int, int]) -> None:
        simulated = door(f"people=1&pace=max&width={size[0]}&height={size[1]}")
        simulated.grab()

        assert simulated.retrieve().shape == (size[1], size[0], 3)


class TestRealPace:
    def test_no_frame_comes_before_it_is_due(self) -> None:
        simulated = door(f"people=1&fps=50&{SMALL}")
        began = time.monotonic()
        times = [pts for _, pts in itertools.islice(decimate(simulated, None), 11)]

        assert times[-1] / 1e9 <= time.monotonic() - began

    def test_slow_reader_gets_the_newest_frame(self) -> None:
        now = 0

        def clock() -> int:
            return now

        parameters = door(f"people=1&fps=10&{SMALL}")._parameters
        simulated = SimulatedDoor(parameters, clock=clock)
        assert simulated.grab() == 0
        now = 1_230_000_000

        assert simulated.grab() == 1_200_000_000
