"""One frame, one event: whatever the frame is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from contracts.area import DetectionArea
from contracts.events import Detections, Model
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture
from services.detector.backends.protocol import NOBODY, Found, Image
from services.detector.inference import FrameInput, analyze, analyze_batch
from services.kit.codec import encode
from tests.detector.stand_ins import Together, jpeg
from tests.detector.stand_ins import header as small

PICTURE = np.full((90, 160, 3), 100, np.uint8)
JPEG = encode(PICTURE, Capture()).jpeg


class Fixed:
    """A detector that sees the same in every frame."""

    stateful = False
    model = Model(name="fixed", sha256="ab", precision="f32")

    def __init__(self, found: Found = NOBODY, error: Exception | None = None) -> None:
        self.seen: list[tuple[tuple[int, ...], str]] = []
        self._found, self._error = found, error

    def detect(self, frame: Image, stream: str) -> Found:
        self.seen.append((frame.shape, stream))
        if self._error is not None:
            raise self._error
        return self._found


def header(**changes: object) -> FrameHeader:
    fields: dict[str, object] = {
        "run": "live", "store": "s", "camera": "c", "session": "one", "seq": 3, "previous": 2, "captured_at": 10**18,
        "width": 160, "height": 90, "spec_revision": 2, "policy": Policy.EVERY,
    }  # fmt: skip
    return FrameHeader.model_validate(fields | changes)


def test_boxes_and_scores_travel_with_the_frames_own_fields() -> None:
    found = Found(np.array([[1, 2, 3.456, 4], [5, 6, 7, 8]], np.float32), np.array([0.87654, 0.5], np.float32))
    event = analyze(header(), JPEG, Fixed(found))
    assert event.boxes == ((1.0, 2.0, 3.46, 4.0), (5.0, 6.0, 7.0, 8.0))
    assert event.scores == (0.8765, 0.5)
    assert (event.seq, event.previous, event.spec_revision, event.skipped) == (3, 2, 2, None)
    assert event.model == Fixed.model
    assert Detections.model_validate_json(event.encode()) == event


def test_nobody_in_sight_is_an_event_too() -> None:
    event = analyze(header(), JPEG, Fixed())
    assert (event.boxes, event.scores, event.skipped) == ((), (), None)


def test_each_session_of_each_run_is_a_stream_of_its_own() -> None:
    detector = Fixed()
    for changes in ({}, {"session": "two"}, {"run": "again"}, {"camera": "d"}):
        analyze(header(**changes), JPEG, detector)
    assert len({stream for _, stream in detector.seen}) == 4


def test_the_end_of_a_session_is_passed_on_without_looking() -> None:
    detector = Fixed()
    event = analyze(header(end=EndReason.FINISHED), b"", detector)
    assert event.end is EndReason.FINISHED
    assert event.boxes == ()
    assert event.skipped is None
    assert detector.seen == []


@pytest.mark.parametrize(
    ("jpeg", "reason"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"no picture at all", "not a JPEG", id="something else"),
        pytest.param(JPEG[: len(JPEG) // 2], "cut off", id="half a JPEG"),
        pytest.param(cv2.imencode(".png", PICTURE)[1].tobytes(), "not a JPEG", id="a PNG"),
        pytest.param(encode(PICTURE[:, :80], Capture()).jpeg, "80x90 pixels, but its header says 160x90", id="a lie"),
    ],
)
def test_what_cannot_be_read_becomes_a_skipped_event_that_says_why(jpeg: bytes, reason: str) -> None:
    detector = Fixed()
    event = analyze(header(), jpeg, detector)
    assert event.skipped is not None
    assert reason in event.skipped
    assert event.boxes == ()
    assert detector.seen == []


def test_a_detector_that_fails_is_the_callers_business() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        analyze(header(), JPEG, Fixed(error=RuntimeError("out of memory")))


def test_whom_the_camera_is_not_to_see_is_in_no_event() -> None:
    found = Found(np.array([[0, 0, 20, 80], [120, 0, 160, 80]], np.float32), np.array([0.9, 0.5], np.float32))
    right = DetectionArea(regions=(((0.5, 0), (1, 0), (1, 1), (0.5, 1)),))
    spec = CameraSpec(store="s", camera="c", detection=right)
    assert analyze(header(), JPEG, Fixed(found), spec).boxes == ((120.0, 0.0, 160.0, 80.0),)


def test_together_each_frame_becomes_the_event_that_it_becomes_alone() -> None:
    narrow = CameraSpec(
        store="shop", camera="door", detection=DetectionArea(ignore=(((0, 0), (0.3, 0), (0.3, 1), (0, 1)),))
    )
    looks = [
        FrameInput(small(0), jpeg(20)),
        FrameInput(small(1), b"no picture"),
        FrameInput(small(2), jpeg(20), narrow),
        FrameInput(small(3), jpeg(60), narrow),
        FrameInput(small(4, end=EndReason.FINISHED), b"", narrow),
    ]
    together = analyze_batch(looks, Together(8))
    assert together == [analyze(look.frame, look.jpeg, Together(1), look.spec) for look in looks]
    assert [len(event.boxes) for event in together] == [1, 0, 0, 1, 0]
