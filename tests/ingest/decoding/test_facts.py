"""The facts that a video file states about itself, and their agreement with its pictures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from services.ingest.decoding.facts import Facts
from services.ingest.decoding.fields import Fields
from services.ingest.sources.video_file import open_video
from services.kit.codec import Image
from tests.support.films import write, write_interlaced, write_tracks

TOP, BOTTOM, WHOLE = Fields.TOP_FIRST, Fields.BOTTOM_FIRST, Fields.PROGRESSIVE
MARKS = {TOP: "tff", BOTTOM: "bff", WHOLE: "prog"}
GROUND = np.random.default_rng(3).integers(40, 120, (288, 352, 3), np.uint8)


def walking(count: int, step: int = 3) -> list[Image]:
    """Somebody light who goes to the right, before a wall that is no drawing."""
    found = []
    for number in range(count):
        picture = np.repeat(np.repeat(GROUND[::8, ::8], 8, axis=0), 8, axis=1)
        x = 20 + step * number % 280
        picture[60:260, x : x + 40] = 220
        found.append(picture)
    return found


def film(path: Path, shown: Fields, marked: Fields, codec: str) -> Path:
    pictures: Iterable[Image] = walking(60)
    if shown is WHOLE:
        pictures = (picture for picture in walking(30, 6) for _ in range(2))
    return write_interlaced(path, pictures, codec, bottom_first=shown is BOTTOM, marked=MARKS[marked])


def facts_of(path: Path) -> Facts:
    with closing(open_video(path)) as video:
        return video.facts()


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.ts", "mpeg2video")])
@pytest.mark.parametrize("shown", list(Fields))
@pytest.mark.parametrize("marked", list(Fields))
def test_marks_of_fields_are_held_against_the_pictures(
    tmp_path: Path, name: str, codec: str, shown: Fields, marked: Fields
) -> None:
    fields = facts_of(film(tmp_path / name, shown, marked, codec)).fields

    assert fields is not None
    assert (fields.marked, fields.shown, fields.is_wrong) == (marked, shown, marked is not shown)


def test_where_nothing_moves_nothing_is_judged(tmp_path: Path) -> None:
    fields = facts_of(write(tmp_path / "a.mp4", [walking(1)[0]] * 60, "libx264")).fields

    assert fields is not None
    assert (fields.shown, fields.is_wrong) == (None, False)


@pytest.mark.parametrize(
    ("transfer", "light"), [("smpte2084", "HDR (PQ)"), ("arib-std-b67", "HDR (HLG)"), ("bt709", "SDR")]
)
def test_light_is_told(tmp_path: Path, transfer: str, light: str) -> None:
    options = {"color_trc": transfer, "color_primaries": "bt2020", "colorspace": "bt2020nc"}

    assert facts_of(write(tmp_path / "a.mkv", walking(5), "libx264", options=options)).light == light


def test_all_is_one_line(tmp_path: Path) -> None:
    small = [picture[::2, ::2].copy() for picture in walking(20)]
    path = write_tracks(tmp_path / "a.mkv", [("libx264", small), ("libx264", walking(20))])

    assert str(facts_of(path)) == (
        "h264 in matroska, 352×288, 10 frames a second, progressive, SDR, track 2 of 2, not track 1 (h264, 176×144)"
    )


@pytest.mark.footage
@pytest.mark.parametrize("folder", ["videos", "field", "hard"])
def test_nothing_is_wrong_with_real_footage(footage: Path, folder: str) -> None:
    for path in sorted((footage / folder).iterdir()):
        if path.suffix not in (".json", ".md"):
            fields = facts_of(path).fields
            assert fields is not None
            assert not fields.is_wrong, path.name
