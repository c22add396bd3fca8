"""Files that were cut off, or damaged, are read as far as they can be, and say what they lack."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from services.ingest.source import SourceRefused
from services.ingest.sources.video_file import open_video
from services.kit.codec import Image
from tests.cli.command import metrica
from tests.support.films import index_first, moving_box, write
from tests.support.grabbing import frames

COUNT = 60
KINDS = {
    "a.mp4": "libx264",
    "a.mov": "mjpeg",
    "a.mkv": "libx264",
    "a.avi": "mjpeg",
    "a.ts": "libx264",
    "b.ts": "mpeg2video",
}


@functools.cache
def textured(number: int) -> Image:
    """A moving box on a ground that takes room."""
    ground = np.random.default_rng(5).integers(40, 90, (240, 320, 3), np.uint8)
    picture: Image = np.maximum(np.roll(ground, 5 * number, axis=1), moving_box(number))
    return picture


@pytest.fixture(params=sorted(KINDS))
def film(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    options = {"g": "10"} | ({"preset": "ultrafast"} if KINDS[request.param] == "libx264" else {})
    pictures = (textured(number) for number in range(COUNT))
    pixels = "yuvj420p" if KINDS[request.param] == "mjpeg" else "yuv420p"
    write(path, pictures, KINDS[request.param], options=options, pixels=pixels)
    return index_first(path, tmp_path / f"first-{path.name}") if path.suffix in (".mp4", ".mov") else path


def read(path: Path) -> tuple[int, str]:
    """The number of pictures that a file gives, and the error at its end."""
    with closing(open_video(path)) as video:
        count = len(list(frames(video, None)))
        return count, "; ".join(note.text for note in video.notes)


def rewritten(path: Path, change: Callable[[bytearray], bytes | bytearray]) -> Path:
    path.write_bytes(change(bytearray(path.read_bytes())))
    return path


def test_a_whole_file_says_nothing(film: Path) -> None:
    assert read(film) == (COUNT, "")


def test_a_file_that_was_cut_off_says_how_much_is_missing(film: Path) -> None:
    count, said = read(rewritten(film, lambda raw: raw[: len(raw) // 2 + 7]))

    assert COUNT * 0.3 < count < COUNT * 0.7
    if film.suffix == ".ts":
        assert "the file was cut off, and does not say how much is missing" in said
    else:
        assert "of the 6.0 s that the file says it has could be read: the rest is missing or damaged" in said


def test_an_end_of_zeros_is_missing(film: Path) -> None:
    count, said = read(rewritten(film, lambda raw: raw[: len(raw) // 2] + bytes(len(raw) // 2)))

    assert COUNT * 0.3 < count < COUNT * 0.7
    assert ("does not end with video" if film.suffix == ".ts" else "of the 6.0 s that the file says it has") in said


def test_damage_in_the_middle_leaves_what_comes_after(film: Path) -> None:
    def spoil(raw: bytearray) -> bytearray:
        begin, length = len(raw) // 2, len(raw) // 6
        raw[begin : begin + length] = np.random.default_rng(1).integers(0, 256, length, np.uint8).tobytes()
        return raw

    count, said = read(rewritten(film, spoil))

    assert COUNT * 0.6 < count <= COUNT
    if film.suffix in (".mp4", ".mov"):
        assert "damaged pictures were passed over" in said
    if film.suffix != ".avi":  # its times are the numbers of its pictures
        assert "that the file says it has" not in said


def test_without_its_index_an_mp4_is_refused_with_what_may_repair_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", (textured(number) for number in range(20)), "libx264")
    rewritten(path, lambda raw: raw[: raw.rindex(b"moov") - 4])

    with pytest.raises(SourceRefused, match=r"lacks its index .* untrunc whole\.mp4 a\.mp4"):
        open_video(path)


def test_a_count_tells_it_to_people_and_to_programs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", (textured(number) for number in range(COUNT)), "libx264", options={"g": "10"})
    rewritten(path, lambda raw: raw[: len(raw) // 2])

    outcome = metrica("count", path, "--line", "0.5,0,0.5,1", "--in", "left", "--detector", "motion", "--json")

    assert outcome.code == 0
    assert "of the 6.0 s that the file says it has" in outcome.err
    (note,) = json.loads(outcome.out)["notes"]
    assert note in outcome.err
