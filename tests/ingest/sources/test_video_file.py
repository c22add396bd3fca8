"""The rules of video files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.ingest.source import SourceRefused, decimate
from services.ingest.sources.video_file import open_video
from tests.support.clips import numbered_picture, write_clip
from tests.support.grabbing import frames


def test_every_frame_comes_with_its_own_time(tmp_path: Path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", 25, fps=25))

    grabbed = list(frames(video, None))

    assert [frame.pts_ns for frame in grabbed] == [pytest.approx(i * 40_000_000, abs=1000) for i in range(25)]
    for frame in grabbed:
        assert np.abs(frame.image.astype(int) - numbered_picture(frame.index)).mean() < 6


def test_reading_twice_gives_the_same_pixels_and_times(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 40)

    first, second = (list(frames(open_video(path), 3)) for _ in range(2))

    assert [frame.pts_ns for frame in first] == [frame.pts_ns for frame in second]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


def test_passing_over_frames_leads_to_the_same_frame_as_reading_them(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 40)
    read = {frame.index: frame for frame in frames(open_video(path), 6)}

    video = open_video(path)
    for index, pts_ns in decimate(video, 6):
        if index in (0, 9, 20):
            assert pts_ns == read[index].pts_ns
            assert np.array_equal(video.retrieve(), read[index].image)


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 12, fps=15, size=(320, 240))
    video = open_video(path)

    assert (video.size, video.fps, video.length) == ((320, 240), 15.0, 12)
    assert video.content_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert video.name == "a.mp4"


def test_content_is_the_bytes_not_the_name(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 5)
    copy = tmp_path / "b.mp4"
    copy.write_bytes(path.read_bytes())

    assert open_video(path).content_sha256() == open_video(copy).content_sha256()


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()

    with pytest.raises(SourceRefused, match="is an empty file"):
        open_video(tmp_path / "a.mp4")


def test_video_with_no_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64)).release()
    assert path.stat().st_size > 0

    with pytest.raises(SourceRefused):
        open_video(path)


def test_cut_off_video_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 30)
    path.write_bytes(path.read_bytes()[:-400])

    with pytest.raises(SourceRefused, match="lacks its index"):
        open_video(path)


def test_damage_in_the_middle_does_not_end_the_video(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(60):
        writer.write(numbered_picture(number))
    writer.release()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 6000] = bytes(6000)
    path.write_bytes(raw)

    grabbed = list(frames(open_video(path), None))

    assert len(grabbed) > 45
    assert np.abs(grabbed[-1].image.astype(int) - numbered_picture(59)).mean() < 6
