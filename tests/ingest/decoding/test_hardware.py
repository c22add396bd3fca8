"""Hardware that decodes: used where it can, and told of where it cannot; the pictures come either way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.ingest.decoding import hardware
from services.ingest.decoding.hardware import Hardware, choose, chosen
from services.ingest.sources.video_file import open_video
from tests.support.films import moving_box, write


@pytest.fixture(autouse=True)
def processor() -> Iterator[None]:
    """The processor decodes for all other tests."""
    yield
    choose(Hardware.NONE)


def read(path: Path) -> tuple[int, list[str]]:
    """Frames and notes of a file."""
    with closing(open_video(path)) as video:
        frames = 0
        while video.grab() is not None:
            assert video.retrieve().shape == (240, 320, 3)
            frames += 1
        return frames, [note.text for note in video.notes]


@pytest.mark.parametrize("kind", [kind for kind in Hardware if kind is not Hardware.NONE])
def test_pictures_come_whether_or_not_the_machine_has_it(tmp_path: Path, kind: Hardware) -> None:
    problem = choose(kind)

    assert read(write(tmp_path / "a.mp4", [moving_box(number) for number in range(8)], "libx264"))[0] == 8
    assert (problem is None) == (chosen() is kind)
    assert problem is None or kind in problem


def test_what_the_build_cannot_use_is_told() -> None:
    assert choose(Hardware.VAAPI) == (
        "the FFmpeg that PyAV brings cannot use vaapi: build PyAV against one that can. The processor decodes"
    )


def test_a_coding_that_it_cannot_decode_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_chosen", Hardware.VAAPI)  # as on a machine that has it, for another coding

    frames, notes = read(
        write(tmp_path / "a.avi", [moving_box(number) for number in range(8)], "mjpeg", pixels="yuvj420p")
    )

    assert frames == 8
    assert "mjpeg is decoded by the processor: vaapi cannot decode it here" in notes


def test_by_the_processor_nothing_is_told(tmp_path: Path) -> None:
    assert choose(Hardware.NONE) is None
    assert read(write(tmp_path / "a.mp4", [moving_box(0)] * 3, "libx264")) == (3, [])
