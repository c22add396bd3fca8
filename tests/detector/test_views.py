"""The learnt background of a camera outlives the detector that learnt it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from contracts.events import Model
from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec
from contracts.streams import VIEWS
from services.cli.counting.pipeline import Pipeline
from services.detector import views as module
from services.detector.backends.protocol import Found, Image
from services.detector.motion.detector import MotionDetector
from services.detector.views import Views
from services.ingest.sources.simulation import open_simulation
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.detector.scenes import HEIGHT, WIDTH, Scene
from tests.support.broker import connected

BUSY = "sim://door?people=40&pace=max&people_per_min=60&fps=10&seed=7"


class Restarted:
    """A motion detector in whose place another comes at some frames; it recalls what is handed on, or begins anew."""

    stateful = True

    def __init__(self, at: Collection[int], *, recalls: bool) -> None:
        self._detector, self._at, self._recalls, self._frames = MotionDetector(), at, recalls, 0

    @property
    def model(self) -> Model:
        return self._detector.model

    def detect(self, frame: Image, stream: str) -> Found:
        self._frames += 1
        if self._frames in self._at:
            learnt, self._detector = self._detector.learnt(stream), MotionDetector()
            assert learnt is not None
            if self._recalls:
                self._detector.recall(stream, learnt)
        return self._detector.detect(frame, stream)


def counted(detector: Restarted) -> int:
    source = open_simulation(BUSY)
    with closing(source):
        pipeline = Pipeline(
            source, CameraSpec(store="shop", camera="cam", model="motion", lines=(source.line,)), detector, start=10**18
        )
        for _ in pipeline.run():
            pass
    return len(pipeline.tally.crossings)


def test_a_restart_before_a_busy_door_changes_hardly_a_count() -> None:
    """Learnt anew, the people at the door become its background: one is counted for another, or not at all."""
    undisturbed = counted(Restarted((), recalls=True))
    recalled = counted(Restarted((100, 200, 300), recalls=True))

    assert undisturbed >= 30
    assert abs(recalled - undisturbed) <= 3


def test_too_little_is_not_handed_on() -> None:
    detector, scene = MotionDetector(), Scene(1)
    assert detector.learnt("camera") is None
    for frame in scene.empty(10):
        detector.detect(frame, "camera")
    assert detector.learnt("camera") is None


@pytest.mark.parametrize("learnt", [b"", b"PK", b"another release"])
def test_what_cannot_be_read_is_refused(learnt: bytes) -> None:
    with pytest.raises(ValueError, match="no background of this release"):
        MotionDetector().recall("camera", learnt)


class TestKeeping:
    @pytest.fixture
    async def bus(self, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
        """A bus with all buckets; what was learnt is kept with each frame."""
        monkeypatch.setattr(module, "EVERY", 0.0)
        async with connected(settings, everything=True) as bus:
            yield bus

    @staticmethod
    def header(session: str, policy: Policy) -> FrameHeader:
        return FrameHeader(
            run="live",
            store="shop",
            camera="cam",
            session=session,
            seq=0,
            captured_at=1,
            width=WIDTH,
            height=HEIGHT,
            spec_revision=1,
            policy=policy,
        )

    @pytest.mark.parametrize(
        ("policy", "session", "known"),
        [
            pytest.param(Policy.LATEST, "first", True, id="a live camera's session"),
            pytest.param(Policy.LATEST, "next", True, id="a live camera's next session"),
            pytest.param(Policy.EVERY, "first", True, id="a file's session"),
            pytest.param(Policy.EVERY, "next", False, id="another file"),
        ],
    )
    async def test_a_successor_knows_it(self, bus: Bus, policy: Policy, session: str, known: bool) -> None:
        scene, first, second = Scene(1), MotionDetector(), MotionDetector()
        with ThreadPoolExecutor(1) as thread:
            before, after = Views(bus, first, thread), Views(bus, second, thread)
            await before.recall(self.header("first", policy))
            for frame in scene.empty(30):
                first.detect(frame, "live/cam/first")
            await before.keep(self.header("first", policy))
            await after.recall(self.header(session, policy))

        assert (second.learnt(f"live/cam/{session}") is not None) == known

    async def test_no_picture_is_written_to_the_disk(self, bus: Bus) -> None:
        config = (await bus.js.stream_info(f"KV_{VIEWS.name}")).config
        assert (config.storage, config.max_age) == ("memory", VIEWS.ttl)
