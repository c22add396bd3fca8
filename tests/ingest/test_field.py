"""Videos as recorders, phones and damaged clocks write them are read for what they show.

The ten files of `data/field` are examples with known crossings; beside them, each kind is made here in other codings
and containers.
"""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from pydantic import ValidationError

from contracts.spec import Capture
from services.ingest.decimator import SECOND
from services.ingest.decoding.timestamps import Timestamps
from services.ingest.source import SourceRefused
from services.ingest.sources.opening import open_source
from services.ingest.sources.video_file import VideoFile, open_video
from services.kit.codec import Image
from tests.cli.command import metrica
from tests.support.films import DV_SIZE, moving_box, shift_times, write, write_interlaced, write_tracks
from tests.support.grabbing import frames

LINE = ("--line", "0.72,0,0.72,1", "--in", "left")
BEGIN = "2026-11-28T00:00:00+00:00"
BEGIN_NS = 1_795_824_000 * SECOND
TWO_PEOPLE = [1.7, 6.3]
HOUR = 3600


@pytest.mark.footage
@pytest.mark.parametrize(
    ("name", "entered", "told"),
    [
        ("interlaced_h264.mp4", TWO_PEOPLE, "deinterlaced"),
        ("back2h.ts", TWO_PEOPLE, "clock was set while it was recorded, 1×"),
        ("jump1h.mp4", [1.7, HOUR + 6.3], ""),
        ("twovideo.mkv", TWO_PEOPLE, "track 2 (h264, 768×432) is read"),
        ("coverfirst.mkv", TWO_PEOPLE, "track 2 (h264, 768×432) is read"),
        ("raw.h264", TWO_PEOPLE, "10 frames a second"),
        ("fps1000.mp4", TWO_PEOPLE, "its times are broken: 10 frames a second"),
        ("hlg_1920.mov", [1.7], ""),
        ("av1.mp4", TWO_PEOPLE, ""),
    ],
)
def test_a_video_from_the_field_is_counted_right(
    footage: Path, name: str, entered: list[float], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICA_MODELS", str(footage / "models"))

    outcome = metrica("count", footage / "field" / name, *LINE, "--start", BEGIN, "--json")

    assert outcome.code == 0, outcome.err
    crossings = json.loads(outcome.out)["crossings"]
    found = [(one["at"] - BEGIN_NS) / SECOND for one in crossings if one["direction"] == "in"]
    assert found == [pytest.approx(at, abs=0.15) for at in entered]
    assert told in outcome.err


class TestInterlaced:
    @pytest.mark.parametrize(
        ("name", "codec", "bottom_first"),
        [
            ("a.ts", "mpeg2video", False),
            ("a.mpg", "mpeg2video", True),
            ("a.mkv", "libx264", True),
            ("a.mov", "libx264", False),
            ("a.dv", "dvvideo", True),
            ("a.avi", "dvvideo", True),
        ],
    )
    def test_two_fields_become_whole_pictures(self, tmp_path: Path, name: str, codec: str, bottom_first: bool) -> None:
        size = DV_SIZE if codec == "dvvideo" else (320, 240)
        path = write_interlaced(
            tmp_path / name, [moving_box(number, size) for number in range(40)], codec, bottom_first=bottom_first
        )

        with closing(open_video(path)) as video:
            read = [grabbed.image for grabbed in frames(video, None)]

        assert len(read) == 20
        assert [note.text for note in video.notes] == ["it is interlaced, and was deinterlaced"]
        raw = raw_pictures(path)
        for whole, woven in list(zip(read, raw, strict=True))[1:-1]:
            assert combing(whole) < combing(woven) / 3

    def test_progressive_video_is_left_as_it_is(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.mp4", [moving_box(number) for number in range(20)], "libx264")

        with closing(open_video(path)) as video:
            read = [grabbed.image for grabbed in frames(video, None)]

        assert video.notes == []
        for number, picture in enumerate(read):
            assert np.abs(picture.astype(int) - moving_box(number)).mean() < 3


class TestTracks:
    SMALL: tuple[Image, ...] = tuple(moving_box(number, (160, 120)) for number in range(20))
    LARGE: tuple[Image, ...] = tuple(moving_box(number) for number in range(20))
    STILL: tuple[Image, ...] = (np.full((480, 640, 3), 128, np.uint8),)

    @pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.mov"])
    @pytest.mark.parametrize("large_first", [True, False])
    def test_the_main_picture_is_read_not_the_sub_stream(self, tmp_path: Path, name: str, large_first: bool) -> None:
        tracks = [("libx264", self.LARGE), ("libx264", self.SMALL)]
        path = write_tracks(tmp_path / name, tracks if large_first else tracks[::-1])

        with closing(open_video(path)) as video:
            assert video.size == (320, 240)
            assert len(list(frames(video, None))) == 20
        assert "(h264, 320×240) is read, not track" in video.notes[0].text

    @pytest.mark.parametrize(
        ("name", "still"), [("a.mkv", "mjpeg"), ("a.mov", "png"), ("a.mov", "mjpeg"), ("a.avi", "mjpeg")]
    )
    @pytest.mark.parametrize("still_first", [True, False])
    def test_a_still_picture_is_never_read(self, tmp_path: Path, name: str, still: str, still_first: bool) -> None:
        tracks = [(still, self.STILL), ("libx264", self.LARGE)]
        path = write_tracks(tmp_path / name, tracks if still_first else tracks[::-1])

        with closing(open_video(path)) as video:
            assert video.size == (320, 240)
            assert len(list(frames(video, None))) == 20

    def test_motion_jpeg_is_no_still_picture(self, tmp_path: Path) -> None:
        path = write_tracks(tmp_path / "a.mkv", [("libx264", self.SMALL), ("mjpeg", self.LARGE)])

        with closing(open_video(path)) as video:
            assert video.size == (320, 240)

    def test_another_track_is_read_where_it_is_asked_for(self, tmp_path: Path) -> None:
        path = write_tracks(tmp_path / "a.mkv", [("libx264", self.SMALL), ("libx264", self.LARGE)])

        with closing(open_video(path, track=1)) as small, closing(open_video(path)) as main:
            assert small.size == (160, 120)
            assert small.content_sha256() != main.content_sha256()  # it is another session
        with pytest.raises(SourceRefused, match=r"has no video track 3: there is track 1 \(h264, 160×120\), track 2"):
            open_video(path, track=3)


class TestTimes:
    def interval_times(self, video: VideoFile) -> list[float]:
        with closing(video):
            return [grabbed.pts_ns / SECOND for grabbed in frames(video, None)]

    @pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "libx265"])
    @pytest.mark.parametrize("seconds", [-2 * HOUR, -5, 3 * HOUR, 40])
    def test_a_clock_that_is_set_goes_on_at_the_frame_rate(self, tmp_path: Path, codec: str, seconds: int) -> None:
        fps = 25
        plain = write(tmp_path / "a.ts", [moving_box(number) for number in range(25)], codec, fps=fps)
        parts = [shift_times(plain, tmp_path / str(at), at) for at in (10 * HOUR, 10 * HOUR + 1 + seconds)]
        path = tmp_path / "b.ts"  # as a recorder goes on with a file after the clock was set
        path.write_bytes(b"".join(part.read_bytes() for part in parts))

        video = open_video(path)
        times = self.interval_times(video)

        assert times[-1] < 3
        assert all(0 < after - before < 0.3 for before, after in itertools.pairwise(times))
        assert any("its clock was set while it was recorded" in note.text for note in video.notes)

    def test_a_pause_of_an_hour_in_a_recording_stays_one(self, tmp_path: Path) -> None:
        times = [number * 100 + (number >= 10) * HOUR * 1000 for number in range(20)]
        for name in ("a.mkv", "a.mp4"):
            path = write(tmp_path / name, [moving_box(number) for number in range(20)], "libx264", times=times)

            video = open_video(path)

            assert self.interval_times(video)[-1] == pytest.approx(HOUR + 1.9, abs=0.01)
            assert video.notes == []

    @pytest.mark.parametrize(("codec", "name"), [("libx264", "a.h264"), ("libx265", "a.hevc"), ("mpeg2video", "a.m2v")])
    def test_a_stream_without_times_has_its_own_rate(self, tmp_path: Path, codec: str, name: str) -> None:
        form = {"a.m2v": "mpeg2video"}.get(name)
        path = write(tmp_path / name, [moving_box(number) for number in range(50)], codec, fps=50, form=form)

        times = self.interval_times(open_video(path))

        assert times[-1] == pytest.approx(49 / 50, abs=0.05)

    @pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov"])
    def test_times_that_no_camera_can_have_are_replaced(self, tmp_path: Path, name: str) -> None:
        pictures = [moving_box(number) for number in range(40)]
        path = write(tmp_path / name, pictures, "libx264", fps=10, times=list(range(40)))

        given = open_video(path, rate=5)

        assert self.interval_times(given)[-1] == pytest.approx(39 / 5)
        assert given.fps == 5
        assert "its times are broken" in open_video(path).notes[0].text

    @pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 1e6])
    def test_a_rate_that_is_none_is_refused(self, rate: float) -> None:
        with pytest.raises(ValidationError, match="rate"):
            Capture(rate=rate)

    def test_times_only_grow(self) -> None:
        raw = [5, 7, 7, None, 6, 30 * SECOND, 2, None]
        for faults in (True, False):
            timestamps = Timestamps(10, jumps_are_faults=faults)
            times = [timestamps.next(one) for one in raw]

            assert times[0] == 0
            assert all(after > before for before, after in itertools.pairwise(times))


class TestHighDynamicRange:
    @pytest.mark.parametrize(
        ("codec", "name", "transfer", "white"),
        [
            # What diffuse white, 203 cd/m², is stored as (ITU-R BT.2408, table 1).
            ("libx265", "a.mp4", "smpte2084", 0.58),
            ("libx265", "a.mkv", "arib-std-b67", 0.75),
            ("libx264", "a.mov", "smpte2084", 0.58),
        ],
    )
    def test_white_is_light_and_black_is_dark(
        self, tmp_path: Path, codec: str, name: str, transfer: str, white: float
    ) -> None:
        picture = np.zeros((240, 320, 3), np.uint8)
        picture[:, 160:] = round(255 * white)
        pixels, options = "yuv420p10le", {"color_trc": transfer, "color_primaries": "bt2020", "colorspace": "bt2020nc"}
        path = write(tmp_path / name, [picture] * 5, codec, pixels=pixels, options=options)

        with closing(open_video(path)) as video:
            read = next(iter(frames(video, None))).image

        assert read[:, :150].mean() < 20
        assert read[:, 170:].mean() > 200


class TestCodings:
    @pytest.mark.parametrize(
        ("codec", "name", "pixels"),
        [
            ("libsvtav1", "a.mp4", "yuv420p"),
            ("libvpx-vp9", "a.webm", "yuv420p"),
            ("libvpx-vp9", "a.mkv", "yuva420p"),
            ("libx265", "a.mp4", "yuv420p10le"),
            ("libx264", "a.mkv", "yuv444p"),
            ("mjpeg", "a.avi", "yuvj420p"),
            ("mpeg4", "a.avi", "yuv420p"),
        ],
    )
    def test_each_is_read(self, tmp_path: Path, codec: str, name: str, pixels: str) -> None:
        try:
            av.codec.Codec(codec, "w")
        except av.codec.codec.UnknownCodecError:
            pytest.fail(f"PyAV's build writes no {codec}")
        path = write(tmp_path / name, [moving_box(number) for number in range(20)], codec, pixels=pixels)

        with closing(open_video(path)) as video:
            read = [grabbed.image for grabbed in frames(video, None)]

        assert len(read) == 20
        for number, picture in enumerate(read):
            assert np.abs(picture.astype(int) - moving_box(number)).mean() < 6


@pytest.mark.parametrize("address", ["sim://door?people=1", "rtsp://127.0.0.1/x", "0"])
def test_a_rate_is_refused_where_the_source_is_no_file(address: str) -> None:
    with pytest.raises(SourceRefused, match="a rate is for video files"):
        open_source(address, rate=10)


@pytest.mark.parametrize("address", ["sim://door?people=1", "0"])
def test_a_track_is_refused_where_there_can_be_but_one(address: str) -> None:
    with pytest.raises(SourceRefused, match="a track is for files and streams"):
        open_source(address, track=1)


def test_a_file_address_may_be_written_with_percent_signs(tmp_path: Path) -> None:
    path = write(tmp_path / "a film.mp4", [moving_box(0)] * 3, "libx264")

    for address in (f"file://{path}", path.as_uri(), path.as_uri().replace("file://", "file://localhost")):
        with closing(open_source(address)) as source:
            assert source.name == "a film.mp4"


def raw_pictures(path: Path) -> list[Image]:
    """The pictures as they are stored, fields and all."""
    with closing(av.open(str(path))) as container:
        return [cast("Image", frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def combing(picture: Image) -> float:
    """Mean difference of each line from those above and below it."""
    grey = picture[:, :, 1].astype(float)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())
