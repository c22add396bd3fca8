"""The rules of every source of frames, and of how addresses are understood."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.address import redact
from contracts.identity import Policy
from services.ingest.source import FrameSource, SourceClosed, SourceLost, SourceRefused, decimate
from services.ingest.sources.opening import open_source
from tests.support.clips import write_clip
from tests.support.grabbing import frames
from tests.support.rtsp import RtspCamera


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    clip = write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", 30)
    with RtspCamera() as camera:
        yield {
            "file": str(clip),
            "simulation": "sim://door?people=3&pace=max&width=160&height=90",
            "paced simulation": "sim://door?people=3&fps=30&width=160&height=90",
            "camera": camera.address,
        }


@pytest.fixture(params=["file", "simulation", "paced simulation", "camera"])
def source(request: pytest.FixtureRequest, addresses: dict[str, str]) -> Iterator[FrameSource]:
    opened = open_source(addresses[request.param])
    yield opened
    opened.close()


class TestEverySource:
    def test_pictures_have_the_promised_size(self, source: FrameSource) -> None:
        assert source.grab() is not None
        picture = source.retrieve()

        assert (picture.shape[1], picture.shape[0]) == source.size
        assert picture.shape[2] == 3
        assert picture.dtype == np.uint8

    def test_time_starts_near_zero_and_grows(self, source: FrameSource) -> None:
        times = [pts for _, pts in itertools.islice(decimate(source, None), 8)]

        assert 0 <= times[0] < 1e9
        assert all(a < b for a, b in itertools.pairwise(times))

    def test_kept_frames_are_counted_from_zero(self, source: FrameSource) -> None:
        assert [grabbed.index for grabbed in itertools.islice(frames(source, 5), 3)] == [0, 1, 2]

    def test_closed_source_says_so_and_is_not_taken_for_ended(self, source: FrameSource) -> None:
        source.grab()
        source.close()

        with pytest.raises(SourceClosed):
            source.grab()

    def test_close_from_another_thread_ends_a_reader(self, source: FrameSource) -> None:
        reading, ended = threading.Event(), threading.Event()

        def read() -> None:
            try:
                while source.grab() is not None:
                    reading.set()
                    source.retrieve()
            except SourceClosed:
                pass
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert reading.wait(10)
        source.close()
        reader.join(10)

        assert ended.is_set()

    def test_closing_twice_is_closing(self, source: FrameSource) -> None:
        source.close()
        source.close()


def test_what_waits_is_read_whole_and_what_does_not_newest_first(addresses: dict[str, str]) -> None:
    policies = {kind: open_source(address).policy for kind, address in addresses.items()}

    assert policies == {
        "file": Policy.EVERY,
        "simulation": Policy.EVERY,
        "paced simulation": Policy.LATEST,
        "camera": Policy.LATEST,
    }


@pytest.mark.parametrize(
    ("address", "words"),
    [
        pytest.param("", "is empty", id="nothing"),
        pytest.param("no-such-file.mp4", "there is no such file", id="missing file"),
        pytest.param(".", "is a folder", id="folder"),
        pytest.param(__file__, "is no video", id="not a video"),
        pytest.param("ftp://camera/stream", "ftp:// is no kind of source", id="unknown scheme"),
        pytest.param("concat:a.mp4|b.mp4", "there is no such file", id="one of FFmpeg's own protocols"),
        pytest.param("rtsp://host:port/x", "its port must be a number", id="broken address"),
        pytest.param("sim://shelf", "the one simulated scene is sim://door", id="unknown scene"),
    ],
)
def test_address_that_can_never_work_is_refused_in_words(address: str, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        open_source(address)


def test_camera_that_is_not_plugged_in_may_come_back() -> None:
    with pytest.raises(SourceLost, match="there is no camera 987 on this machine"):
        open_source("987")


def test_file_named_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "0.mp4", 3).rename(tmp_path / "0")
    monkeypatch.chdir(tmp_path)

    assert open_source("0").policy is Policy.EVERY


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("rtsp://10.0.0.5/stream", "rtsp://10.0.0.5/stream"),
        ("rtsp://admin:secret@10.0.0.5:554/stream", "rtsp://10.0.0.5:554/stream"),
        ("rtsp://admin:s/e@c:ret@10.0.0.5/stream", "rtsp://***"),
        ("http://cam/video?user=bob&password=secret&res=hd", "http://cam/video?***&***&***"),
        ("http://cam/video?auth_token=secret", "http://cam/video?***"),
        ("/films/shop.mp4", "file://***"),
    ],
)
def test_people_never_see_a_password(address: str, seen: str) -> None:
    assert redact(address) == seen
