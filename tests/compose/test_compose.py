"""compose.yaml on a real Docker Engine: a clip is counted right while replicas come, go and die under it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.streams import DETECTIONS
from services.ingest.sources.simulation import open_simulation
from tests.conftest import FOOTAGE
from tests.support.engine import Project, project
from tests.support.record import counted
from tests.support.scene import LINE, STORE, Scene, clip, today_at_noon

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

MANY = {"detector": 3, "tracker": 2, "ingest": 2, "persistence": 2, "api": 2}
PATIENCE = 240.0


@dataclass(frozen=True)
class Case:
    """A scene to count, its truth, and the processes that die meanwhile."""

    scene: Scene
    frames: int
    victims: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def case() -> Case:
    """A real clip where there is footage; elsewhere the simulated door."""
    if folder := os.environ.get(FOOTAGE):
        name = "vtest_480x360.mp4"
        inside = {"METRICA_VIDEOS": f"{folder}/videos", "METRICA_MODELS": f"{folder}/models"}
        scene = replace(clip(Path(folder), name), address=f"/videos/{name}", fps=5)
        return Case(scene, 398, ("ingest", "detector", "tracker", "persistence", "api"), inside)
    address = "sim://door?people=40&pace=max&spacing=natural&people_per_min=60"
    door = open_simulation(address)
    line = door.line.model_copy(update={"id": LINE})
    # What motion makes of a frame depends on those before: of a detector that dies, it is not to be had again.
    assert door.length
    return Case(
        Scene(address, line, "motion", today_at_noon()), door.length, ("ingest", "tracker", "persistence", "api")
    )


class Browser:
    """Signs in through caddy, follows a store's live stream, and comes back when it is cut off, as browsers do."""

    def __init__(self, url: str, password: str) -> None:
        self.counts: dict[str, Any] = {}
        """The newest that it was told."""
        self.versions: list[int] = []
        self.visits = 0
        self._client = httpx.Client(base_url=url, timeout=15)
        self._who = {"email": "admin@metrica.local", "password": password, "keep": "token"}
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Follow as long as the context lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._leaving.set()
            self._thread.join()
            self._client.close()

    def shows(self, ins: int, outs: int) -> bool:
        """Tell whether it shows these totals."""
        return (self.counts.get("in"), self.counts.get("out")) == (ins, outs)

    def _follow(self) -> None:
        while not self._leaving.is_set():
            with suppress(httpx.HTTPError):
                self._visit()
            self._leaving.wait(0.2)

    def _visit(self) -> None:
        signed_in = self._client.post("/v1/auth/sign-in", json=self._who).raise_for_status().json()
        mine = {"Authorization": f"Bearer {signed_in['access_token']}"}
        with self._client.stream("GET", f"/v1/stores/{STORE}/events", headers=mine) as response:
            response.raise_for_status()
            self.visits += 1
            kind = ""
            for line in response.iter_lines():
                if self._leaving.is_set():
                    return
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "snapshot":
                    self._take(json.loads(value)["store"]["counts"])
                elif name == "data" and kind == "counts":
                    self._take(json.loads(value))

    def _take(self, counts: dict[str, Any]) -> None:
        self.counts = counts
        self.versions.append(counts["revision"])


def test_a_clip_is_counted_right_while_replicas_come_and_go_and_die(
    images: Project, case: Case, tmp_path: Path
) -> None:
    with project(tmp_path, case.environment) as stack:
        expected = counted(json.loads(stack.metrica("count", *_words(case.scene), "--json").splitlines()[-1]))
        assert len(expected) >= 10
        stack.up()
        browser = Browser(stack.url, stack.password("METRICA_ADMIN_PASSWORD"))
        stack.metrica("camera", "set", "camera", *_words(case.scene, camera=True))
        with browser.looking():
            _wait(lambda: stack.stored(DETECTIONS.name) > case.frames * 0.05, "the counting has begun")
            stack.up(MANY)
            for victim in case.victims:
                stack.kill(victim)
            _wait(lambda: stack.stored(DETECTIONS.name) > case.frames * 0.5, "half of it is done")
            stack.up()
            _wait(lambda: stack.query("SELECT 1 FROM run_session"), "everything is counted")
            assert stack.crossings() == expected
            totals = [sum(row[2] == direction for row in expected) for direction in ("in", "out")]
            _wait(lambda: browser.shows(*totals), "the dashboard shows it")
            assert " Violation - " not in stack.compose("logs", "nats"), "NATS refused somebody something"
            _wait(lambda: set(stack.health().values()) == {"healthy"}, "everybody is well")
    assert browser.versions == sorted(browser.versions), "the dashboard went back"
    assert browser.visits >= 2, "its replica was killed, and it came back"
    assert not any(stack.left().values())


def _words(scene: Scene, *, camera: bool = False) -> list[str]:
    """A scene in the words of `metrica count` and `metrica camera set`."""
    points = ",".join(str(point) for point in (scene.line.x1, scene.line.y1, scene.line.x2, scene.line.y2))
    words = [
        scene.address,
        "--line",
        f"{LINE}={points}",
        "--in",
        scene.line.in_side,
        "--start",
        scene.start.isoformat(),
    ]
    words += [] if scene.fps is None else ["--fps", str(scene.fps)]
    if camera:
        return [*words, "--store", STORE, "--time-zone", "UTC", "--model", scene.model]
    return [*words, "--camera", "camera", "--detector", scene.model]


def _wait(seen: Callable[[], object], what: str) -> None:
    """Wait for what no event tells."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, f"{what}: not seen within {PATIENCE:.0f} s"
        time.sleep(0.2)
