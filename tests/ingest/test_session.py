"""The rules of a session over a source that can be read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.frames import EndReason
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture
from services.ingest.session import Frame, file_frames, session_of
from services.ingest.source import FrameSource, SourceClosed
from services.ingest.sources.opening import open_source
from tests.support.clips import write_clip

START = 1_700_000_000_000_000_000


def spec(**capture: float) -> CameraSpec:
    return CameraSpec(store="shop", camera="door", policy=Policy.EVERY, capture=Capture.model_validate(capture))


def whole(source: FrameSource, camera: CameraSpec, begin: int = 0) -> list[Frame]:
    session = session_of(source, camera.capture, START)
    return list(file_frames(source, camera, session=session, start=START, begin=begin))


@pytest.fixture(params=["file", "simulation"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "simulation":
        return "sim://door?people=1&pace=max&fps=5&width=320&height=180"
    return str(write_clip(tmp_path / "clip.mp4", 30))


def test_frames_are_numbered_without_gaps_and_end_in_band(address: str) -> None:
    *pictures, end = whole(open_source(address), spec())

    assert [frame.header.seq for frame in pictures] == list(range(len(pictures)))
    assert [frame.header.previous for frame in pictures] == [None, *range(len(pictures) - 1)]
    assert all(frame.header.end is None and frame.jpeg for frame in pictures)
    assert (end.header.end, end.jpeg) == (EndReason.FINISHED, b"")
    assert (end.header.seq, end.header.previous) == (len(pictures), len(pictures) - 1)


def test_headers_tell_when_what_and_how_large(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 5, fps=10)

    frames = whole(open_source(str(clip)), spec(width=80))

    assert [(frame.header.captured_at - START) // 1_000_000 for frame in frames] == [0, 100, 200, 300, 400, 400]
    assert {(frame.header.width, frame.header.height) for frame in frames} == {(80, 60)}
    header = frames[2].header
    assert (header.run, header.store, header.camera, header.policy) == ("live", "shop", "door", Policy.EVERY)


@pytest.mark.parametrize("begin", [0, 1, 7, 11])
def test_going_on_gives_the_very_same_frames(address: str, begin: int) -> None:
    undisturbed = whole(open_source(address), spec(fps=4))

    assert whole(open_source(address), spec(fps=4), begin=begin) == undisturbed[begin:]


def test_going_on_after_the_last_frame_gives_the_end_again(address: str) -> None:
    undisturbed = whole(open_source(address), spec())

    assert whole(open_source(address), spec(), begin=len(undisturbed)) == undisturbed[-1:]


def test_closed_source_does_not_end_the_session(address: str) -> None:
    source = open_source(address)
    frames = file_frames(source, spec(), session="s", start=START)
    next(frames)
    source.close()

    with pytest.raises(SourceClosed):
        next(frames)


def test_session_is_named_by_all_that_makes_its_frames(address: str) -> None:
    source = open_source(address)
    names = {
        session_of(source, Capture(), START),
        session_of(source, Capture(), START + 1),
        session_of(source, Capture(fps=5), START),
        session_of(source, Capture(width=320), START),
        session_of(source, Capture(quality=70), START),
    }

    assert len(names) == 5
    assert session_of(open_source(address), Capture(), START) in names


def test_other_content_is_another_session(tmp_path: Path) -> None:
    sources = [open_source(str(write_clip(tmp_path / f"{count}.mp4", count))) for count in (3, 4)]

    assert len({session_of(source, Capture(), START) for source in sources}) == 2
