"""The rules of segments: what was recorded is read back, and a file that was cut off plays up to there."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.runs import RunKind
from contracts.spec import CameraSpec
from services.cli.console.errors import CommandError
from services.cli.replaying.segment import SegmentHistory, SegmentWriter

SPEC = CameraSpec(store="shop", camera="door", revision=7)
SINCE, TENTH = 1_767_258_000_000_000_000, 100_000_000
EVER = (0, 2**62)


def header(seq: int) -> FrameHeader:
    return FrameHeader(
        run="live", store="shop", camera="door", session="s", seq=seq, previous=seq - 1 if seq else None,
        captured_at=SINCE + seq * TENTH, width=64, height=48, spec_revision=7, policy=Policy.LATEST,
    )  # fmt: skip


def event(seq: int) -> Detections:
    return Detections.of(header(seq), boxes=((1.25, 2, 3, 4),), scores=(0.5,))


def jpeg(seq: int) -> bytes:
    return b"\xff\xd8" + b"\n" * seq + b'{"frame": 1}\n' + b"\xff\xd9"


def write(path: Path, frames: int = 5, *, whole: bool = True) -> Path:
    with SegmentWriter(path, SINCE) as segment:
        segment.add_spec(SPEC)
        segment.add_spec(SPEC)
        for seq in range(frames):
            segment.add_frame(header(seq), jpeg(seq))
            segment.add_detections(event(seq), SINCE + seq)
        if whole:
            segment.end(SINCE + frames * TENTH)
    return path


async def seqs(past: SegmentHistory) -> tuple[list[int], list[int]]:
    """The frames and the detections that can be read, each as it was written."""
    frames = [one async for one in past.frames("door", *EVER)]
    events = [one async for one in past.detections("door", *EVER)]
    assert frames == [(header(shown.seq), jpeg(shown.seq)) for shown, _ in frames]
    assert events == [(event(seen.seq), SINCE + seen.seq) for seen, _ in events]
    return [shown.seq for shown, _ in frames], [seen.seq for seen, _ in events]


async def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    past = SegmentHistory(write(tmp_path / "door.segment"))

    assert await seqs(past) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert (past.since, past.until, past.whole) == (SINCE, SINCE + 5 * TENTH, True)
    assert await past.cameras(RunKind.FRAMES) == await past.cameras(RunKind.DETECTIONS) == ["door"]
    held = await past.extent(RunKind.FRAMES, "door")
    assert held is not None
    assert (held.store, held.first, held.last, held.frames) == ("shop", SINCE, SINCE + 4 * TENTH, 5)
    assert await past.extent(RunKind.FRAMES, "gate") is None
    assert await past.spec("door") == await past.spec("door", 7) == SPEC
    assert await past.spec("door", 6) is None


async def test_cut_off_anywhere_it_plays_up_to_there(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.segment", frames=2).read_bytes()
    beginning = whole.index(b"\n", whole.index(b'"spec"')) + 1
    before = 0
    for length in range(beginning, len(whole), 3):
        cut = tmp_path / "cut.segment"
        cut.write_bytes(whole[:length])
        frames, events = await seqs(SegmentHistory(cut))

        assert frames == list(range(len(frames)))
        assert events == list(range(len(events)))
        assert len(frames) - 1 <= len(events) <= len(frames)
        assert before <= len(frames) + len(events) <= before + 1
        before = len(frames) + len(events)
        assert not SegmentHistory(cut).whole
    assert before == 4


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"{}\n", b'{"metrica": "segment"', b"a\nb\n"])
def test_what_is_no_segment_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)

    with pytest.raises(CommandError, match=r"other is no segment: make one by `metrica record`"):
        SegmentHistory(path)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "door.segment")

    with pytest.raises(CommandError, match="exists already"):
        SegmentWriter(path, SINCE)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        SegmentWriter(tmp_path / "nowhere" / "door.segment", SINCE)
