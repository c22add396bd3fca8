"""Messages as they travelled once, written by hand: every later version reads them, to these values."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter

from contracts.area import DetectionArea
from contracts.events import (
    CROSSING_EVENT,
    Counts,
    Coverage,
    Crossing,
    DeadLetter,
    Detections,
    LineCount,
    Model,
    Path,
    PathPoint,
    SessionEnd,
    State,
    Status,
    TrackBox,
    Tracks,
)
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Direction, Policy
from contracts.runs import Run, RunCamera, RunKind, RunState, Stretch
from contracts.spec import Anchor, CameraSpec, Capture, CountingLine, Side, Source

FOLDER = FilePath(__file__).with_name("golden")
AT = 1767258000_000000000
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WHERE = {"run": "live", "store": "main-street", "camera": "entrance"}
DETECTIONS = Detections(
    **WHERE,
    session="4f2a",
    seq=12,
    previous=11,
    captured_at=AT + 123456789,
    width=960,
    height=540,
    spec_revision=3,
    policy=Policy.EVERY,
    traceparent=TRACE,
    model=Model(name="person-detection-0200", sha256="ab12", precision="f32"),
    boxes=((10.25, 20.5, 110.0, 320.75), (500.0, 100.0, 560.5, 260.0)),
    scores=(0.9812, 0.1),
)

MESSAGES = {
    "detections": DETECTIONS,
    "detections_end": DETECTIONS.model_copy(
        update={
            "seq": 13,
            "previous": 12,
            "captured_at": AT + 223456789,
            "end": EndReason.FINISHED,
            "traceparent": "",
            "model": None,
            "boxes": (),
            "scores": (),
        }
    ),
    "detections_skipped": Detections(
        **WHERE,
        session="4f2a",
        seq=0,
        captured_at=AT,
        width=960,
        height=540,
        spec_revision=1,
        policy=Policy.LATEST,
        skipped="the JPEG is cut off",
    ),
    "crossing": Crossing(
        **WHERE,
        id=UUID("f1134b22-2198-5c38-83f6-f0cb65597818"),
        line="line",
        line_revision=1,
        direction=Direction.IN,
        session="s1",
        seq=7,
        at=AT + 700_000_000,
        place=0.375,
        spec_revision=3,
        model=Model(name="motion"),
    ),
    "session_end": SessionEnd(
        **WHERE,
        id=UUID("a6b8ded9-ba79-5fbf-aa36-dd70a60a1ffe"),
        session="s1",
        at=AT + 10_000_000_000,
        reason=EndReason.FINISHED,
        frames=100,
        skipped=1,
        missed=2,
        count=6,
    ),
    "coverage": Coverage(
        **WHERE,
        id=UUID("c101f596-115c-51e2-a11e-5b1bb452d320"),
        session="s1",
        lines=("back", "front"),
        start=AT,
        until=AT + 60_000_000_000,
    ),
    "path": Path(
        **WHERE,
        id=UUID("b48747b7-831a-5169-b8b5-53aaa6481851"),
        session="s1",
        track=3,
        part=0,
        final=True,
        at=AT,
        width=960,
        height=540,
        spec_revision=3,
        points=(PathPoint(t=0, box=(1, 2, 3, 4)), PathPoint(t=1500, box=(5.5, 6, 7, 8))),
    ),
    "counts": Counts.model_validate(
        {
            "run": "live",
            "store": "main-street",
            "revision": 41,
            "day": "2026-01-01",
            "in": 12,
            "out": 9,
            "inside": 3,
            "lines": (LineCount.model_validate({"camera": "entrance", "line": "line", "in": 12, "out": 9}),),
            "last_at": AT + 700_000_000,
        }
    ),
    "status": Status(
        **WHERE,
        service="ingest",
        state=State.RETRYING,
        message="The camera does not answer. Trying again.",
        at=AT,
        session="s1",
        fps=9.8,
        frames=120,
        dropped=4,
    ),
    "tracks": Tracks(
        **WHERE,
        session="s1",
        seq=7,
        captured_at=AT + 700_000_000,
        width=960,
        height=540,
        tracks=(TrackBox(track=3, box=(1, 2, 3, 4), score=0.75),),
    ),
    "dead_letter": DeadLetter(
        run="live",
        service="tracker",
        subject="metrica.live.detections.9.main-street.entrance",
        reason="no JSON",
        at=AT,
        stream="DETECTIONS",
        stream_seq=4711,
    ),
    "camera_spec": CameraSpec(
        revision=3,
        store="main-street",
        camera="entrance",
        name="Entrance",
        model="YOLO 26n.onnx",
        policy=Policy.EVERY,
        capture=Capture(fps=10, width=640, quality=85),
        lines=(
            CountingLine(id="line", name="Door", x1=0.5, y1=0, x2=0.5, y2=1, in_side=Side.LEFT, anchor=Anchor.FOOT),
        ),
    ),
    "camera_spec_area": CameraSpec(
        store="main-street",
        camera="window",
        detection=DetectionArea(
            regions=(((0, 0.25), (1, 0.25), (1, 1), (0, 1)),),
            ignore=(((0.5, 0.5), (0.75, 0.5), (0.5, 0.75)),),
            min_height=0.125,
        ),
        lines=(CountingLine(id="line", x1=0, y1=0.75, x2=1, y2=0.75, in_name="shop", out_name="street"),),
    ),
    "source": Source(camera="entrance", address="rtsp://camera.example/1", start=AT, again=1),
    "run": Run(
        name="moved-line",
        kind=RunKind.DETECTIONS,
        cameras=(RunCamera(camera="entrance", store="main-street"),),
        since=AT,
        until=AT + 3600_000_000_000,
        created_at=AT + 7200_000_000_000,
        speed=10,
        lines=(CountingLine(id="line", revision=4, x1=0.5, y1=0, x2=0.5, y2=1),),
        state=RunState.FINISHED,
        covered=(Stretch(camera="entrance", session="s1", first=300, last=36299),),
    ),
}
HEADER = FrameHeader(
    **WHERE,
    session="4f2a",
    seq=12,
    previous=11,
    captured_at=AT + 123456789,
    width=960,
    height=540,
    spec_revision=3,
    policy=Policy.EVERY,
    traceparent=TRACE,
)


def golden(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def read(message: BaseModel, travelled: bytes | str) -> BaseModel:
    if isinstance(message, Crossing | SessionEnd):
        return CROSSING_EVENT.validate_json(travelled)
    return TypeAdapter(type(message)).validate_json(travelled)


def test_every_golden_message_is_read_by_a_test() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == MESSAGES.keys() | {"frame_header"}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_travelled_once_is_read_to_the_same_values_for_ever(name: str) -> None:
    assert read(MESSAGES[name], golden(name)) == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_that_a_later_version_adds_are_ignored(name: str) -> None:
    def add(value: object) -> object:
        if isinstance(value, dict):
            return {**{key: add(inner) for key, inner in value.items()}, "added_later": {"deep": [1]}}
        return [add(inner) for inner in value] if isinstance(value, list) else value

    assert read(MESSAGES[name], json.dumps(add(json.loads(golden(name))))) == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_written_today_says_what_the_golden_message_says(name: str) -> None:
    def same(written: object, golden: object) -> object:
        """The written fields, less those that the golden message knows nothing of."""
        if isinstance(written, dict) and isinstance(golden, dict):
            return {key: same(value, golden[key]) for key, value in written.items() if key in golden}
        if isinstance(written, list) and isinstance(golden, list) and len(written) == len(golden):
            return [same(*pair) for pair in zip(written, golden, strict=True)]
        return written

    said = json.loads(golden(name))

    assert same(json.loads(MESSAGES[name].model_dump_json(by_alias=True)), said) == said


@pytest.mark.parametrize("name", ["detections", "crossing", "path", "counts", "status", "tracks", "dead_letter"])
def test_an_event_as_it_travels_is_read_back_to_itself(name: str) -> None:
    event = MESSAGES[name]
    assert isinstance(event, Detections | Crossing | Path | Counts | Status | Tracks | DeadLetter)

    assert read(event, event.encode()) == event


def test_counts_travel_as_in_and_out() -> None:
    counts = MESSAGES["counts"]
    assert isinstance(counts, Counts)

    assert json.loads(counts.encode())["lines"] == [{"camera": "entrance", "line": "line", "in": 12, "out": 9}]


def test_frame_headers_are_read_to_the_same_values_for_ever() -> None:
    assert FrameHeader.from_headers(json.loads(golden("frame_header"))) == HEADER
    assert HEADER.to_headers() == json.loads(golden("frame_header"))


def test_a_detections_event_carries_what_the_frame_said() -> None:
    event = Detections.of(
        HEADER, boxes=((10.254, 20.5, 110.001, 320.75), (500, 100, 560.5, 260)), scores=(0.98123, 0.1), model=None
    )

    assert event == DETECTIONS.model_copy(update={"model": None})
    assert event.id == HEADER.id == "entrance/4f2a/12"


def test_a_box_without_a_score_is_refused() -> None:
    with pytest.raises(ValueError, match="2 boxes but 1 scores"):
        Detections.model_validate({**json.loads(golden("detections")), "scores": [0.5]})
