"""People as what moves: found one by one, and nothing else found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from services.detector.backends.protocol import Found, Image
from services.detector.motion import background
from services.detector.motion.detector import MotionDetector
from tests.detector.scenes import BROAD, HEIGHT, TALL, WIDTH, Scene, box, iou

LEARNING = 30
Spot = tuple[float, float]


class Watch:
    """A detector before a scene whose background it has learnt."""

    def __init__(self, seed: int = 1, learning: int = LEARNING) -> None:
        self.scene = Scene(seed)
        self.detector = MotionDetector()
        for frame in self.scene.empty(learning):
            self.look(frame)

    def look(self, frame: Image) -> Found:
        return self.detector.detect(frame, "camera")

    def people(self, *spots: Spot) -> Found:
        return self.look(self.scene.frame(*spots))

    def walk(self, frames: int = 60, feet: float = 190) -> None:
        """Somebody walks through alone, so that the size of people is known."""
        for x in np.linspace(-BROAD, WIDTH + BROAD, frames):
            self.people((float(x), feet))


def test_a_person_is_found_where_the_person_is() -> None:
    watch = Watch()
    for x in range(60, 260, 10):
        found = watch.people((x, 200))
        assert len(found) == 1
        assert iou(tuple(found.boxes[0]), box(x, 200)) > 0.7


def test_an_empty_scene_with_noise_shows_nobody() -> None:
    watch = Watch()
    assert [len(watch.people()) for _ in range(100)] == [0] * 100


def test_nobody_is_found_before_the_background_is_known() -> None:
    scene, detector = Scene(), MotionDetector()
    assert [len(detector.detect(scene.frame((60 + 5 * i, 200)), "camera")) for i in range(5)] == [0] * 5


def test_who_walks_while_the_background_is_learnt_leaves_no_ghost() -> None:
    scene, detector = Scene(), MotionDetector()
    for i in range(LEARNING):
        detector.detect(scene.frame((20 + 9 * i, 200)), "camera")
    assert [len(detector.detect(scene.frame(), "camera")) for _ in range(20)] == [0] * 20


def test_slow_drift_of_the_light_shows_nobody() -> None:
    watch = Watch()
    lights = 1 + 0.15 * np.sin(np.linspace(0, 2 * np.pi, 300))
    assert sum(len(watch.look(watch.scene.frame(light=float(light)))) for light in lights) == 0


def test_a_person_is_found_while_the_light_drifts() -> None:
    watch = Watch()
    for i, light in enumerate(np.linspace(1.0, 0.8, 150)):
        found = watch.look(watch.scene.frame((60 + i % 200, 200), light=float(light)))
        assert len(found) == 1


def test_a_light_that_goes_on_shows_nobody_and_is_learnt() -> None:
    watch = Watch()
    after = [len(watch.look(watch.scene.frame(light=1.6))) for _ in range(60)]
    assert sum(after) == 0
    found = watch.look(watch.scene.frame((150, 200), light=1.6))
    assert len(found) == 1


def test_a_shadow_is_nobody() -> None:
    watch = Watch()
    assert sum(len(watch.look(watch.scene.frame(shadow=(40 + 4 * i, 150)))) for i in range(60)) == 0


def test_small_things_are_nobody() -> None:
    watch = Watch()
    assert sum(len(watch.look(watch.scene.frame(dots=5))) for _ in range(50)) == 0


def test_who_stands_for_half_a_minute_stays_found() -> None:
    watch = Watch()
    found = [watch.people((160, 200)) for _ in range(300)]
    assert [len(each) for each in found[::30]] == [1] * 10
    assert iou(tuple(found[-1].boxes[0]), box(160, 200)) > 0.7


def test_who_stood_and_leaves_leaves_no_ghost() -> None:
    watch = Watch()
    for _ in range(100):
        watch.people((160, 200))
    assert [len(watch.people()) for _ in range(20)] == [0] * 20


def test_what_is_put_down_becomes_background_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", 60)
    watch = Watch()
    counts = [len(watch.people((160, 200))) for _ in range(200)]
    assert counts[0] == 1
    assert counts[-1] == 0


@pytest.mark.parametrize(
    ("apart", "why"),
    [(BROAD + 14, "with a gap"), (BROAD - 2, "shoulder to shoulder"), (BROAD - 8, "one a little before the other")],
)
def test_two_side_by_side_are_two(apart: float, why: str) -> None:
    watch = Watch()
    watch.walk()
    for x in range(60, 220, 10):
        found = watch.people((x, 190), (x + apart, 192))
        assert _each_found(found, [(x, 190), (x + apart, 192)]), why


def test_one_close_behind_the_other_are_two() -> None:
    watch = Watch()
    watch.walk(feet=150)
    watch.walk(feet=220)
    for x in range(60, 220, 10):
        assert _each_found(watch.people((x, 150), (x, 150 + TALL - 6)), [(x, 150), (x, 150 + TALL - 6)])


def test_a_body_in_fragments_is_one_person() -> None:
    watch = Watch()
    watch.walk()
    for x in range(60, 220, 10):
        frame, bare = watch.scene.frame((x, 190)), watch.scene.frame()
        belt = 190 - TALL // 2
        frame[belt - 4 : belt + 4] = bare[belt - 4 : belt + 4]
        found = watch.look(frame)
        assert len(found) == 1
        assert iou(tuple(found.boxes[0]), box(x, 190)) > 0.7


def test_who_comes_in_at_the_edge_is_found_as_far_as_visible() -> None:
    watch = Watch()
    watch.walk()
    found = watch.people((160, HEIGHT + TALL // 2))
    assert len(found) == 1
    assert found.boxes[0, 3] == HEIGHT


def test_a_changed_picture_size_starts_anew() -> None:
    watch = Watch()
    half = np.ascontiguousarray(watch.scene.frame((160, 200))[::2, ::2])
    assert len(watch.look(half)) == 0


def test_the_camera_unseen_for_longest_is_forgotten() -> None:
    scene, detector = Scene(), MotionDetector(streams=2)
    for frame in scene.empty(LEARNING):
        for camera in ("a", "b"):
            detector.detect(frame, camera)
    person = scene.frame((160, 200))
    assert len(detector.detect(person, "a")) == 1
    detector.detect(person, "c")
    assert len(detector.detect(person, "a")) == 1
    assert len(detector.detect(person, "b")) == 0, "b had to make room for c, and learns anew"


def _each_found(found: Found, spots: Sequence[Spot]) -> bool:
    """Tell whether there is one box for each person, and it lies on the person."""
    return len(found) == len(spots) and all(
        any(iou(tuple(each), box(*spot)) > 0.5 for each in found.boxes) for spot in spots
    )
