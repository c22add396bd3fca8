"""A fixed camera's view drawn for tests: a textured floor, noise, and people as upright shapes."""

from __future__ import annotations

import cv2
import numpy as np

from services.kit.codec import Image

WIDTH, HEIGHT = 320, 240
TALL, BROAD = 80, 28


class Scene:
    """Draws frames; the same calls give the same pictures."""

    def __init__(self, seed: int = 1, noise: float = 3.0) -> None:
        self._rng = np.random.default_rng(seed)
        patches = self._rng.integers(90, 170, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.float32)
        # Noise takes longest to make: a few pictures of it are shifted about instead.
        self._noises = [self._rng.normal(0, noise, (HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(7)]
        floor = cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        self._floor = floor.astype(np.float32)

    def frame(
        self, *people: tuple[float, float], light: float = 1.0, shadow: tuple[float, float] | None = None, dots: int = 0
    ) -> Image:
        """The next frame.

        Args:
            people: x of the middle and y of the feet of each.
            light: factor on everything.
            shadow: x and y of the middle of a soft shadow that belongs to nobody.
            dots: small things that move about.
        """
        picture = self._floor.copy()
        if shadow is not None:
            veil = np.zeros((HEIGHT, WIDTH), np.float32)
            cv2.ellipse(veil, (round(shadow[0]), round(shadow[1])), (30, 40), 0, 0, 360, 1.0, -1)
            picture *= np.float32(1) - np.float32(0.3) * np.asarray(cv2.GaussianBlur(veil, (15, 15), 0))[:, :, None]
        for number, (x, feet) in enumerate(people):
            self._person(picture, round(x), round(feet), number)
        for x, y in self._rng.integers(4, min(WIDTH, HEIGHT) - 4, (dots, 2)):
            cv2.circle(picture, (int(x), int(y)), 2, (20, 20, 20), -1)
        noise = self._noises[int(self._rng.integers(len(self._noises)))]
        picture = picture * light + np.roll(noise, int(self._rng.integers(WIDTH)), axis=1)
        return picture.clip(0, 255).astype(np.uint8)

    def empty(self, count: int) -> list[Image]:
        """Frames of nobody: what a background is learnt from."""
        return [self.frame() for _ in range(count)]

    @staticmethod
    def _person(picture: np.ndarray[tuple[int, ...], np.dtype[np.float32]], x: int, feet: int, number: int) -> None:
        coat = ((40, 40, 200), (210, 60, 40), (30, 190, 230), (60, 20, 60))[number % 4]
        top = feet - TALL
        cv2.rectangle(picture, (x - 8, feet - 32), (x + 8, feet), (50, 45, 40), -1)
        cv2.rectangle(picture, (x - BROAD // 2, top + 16), (x + BROAD // 2, feet - 30), coat, -1)
        cv2.circle(picture, (x, top + 9), 9, (30, 35, 60), -1)


def box(x: float, feet: float) -> tuple[float, float, float, float]:
    """The box of a person, x1, y1, x2, y2."""
    return x - BROAD / 2, feet - TALL, x + BROAD / 2 + 1, feet + 1


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across, 0.0) * max(down, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)
