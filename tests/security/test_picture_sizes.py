"""Row 5: a picture that claims to be huge, or that never ends, is refused before the memory for it is taken."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.ingest.decoding import decoder
from services.ingest.source import SourceError, SourceRefused
from services.ingest.sources.opening import open_source
from services.ingest.sources.video_file import open_video
from tests.support import bombs
from tests.support.grabbing import frames
from tests.support.site import Site, site

MOST_GROWTH = 128
"""MB. A picture of 16000×16000 takes 384 MB when it is unpacked, and 768 MB more as BGR."""
_LOOK = """
import itertools, sys
from services.ingest.sources.opening import open_source
from services.ingest.source import SourceError
from tests.support.grabbing import frames

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024

def look(address):
    try:
        source = open_source(address, open_timeout=10, read_timeout=10)
        try:
            list(itertools.islice(frames(source, None), 500))
        finally:
            source.close()
    except SourceError as error:
        return str(error)
    return "read"

look(sys.argv[1])
before = peak()
words = [look(address) for address in sys.argv[2:]]
print(peak() - before, *words, sep="\\n")
"""


def growth(*addresses: str) -> tuple[int, list[str]]:
    """MB by which a process grows that looks at sources, the first left out of account, and what it says of each."""
    look = subprocess.run(
        [sys.executable, "-c", _LOOK, *addresses], capture_output=True, text=True, check=True, timeout=100
    )
    grown, *words = look.stdout.splitlines()
    return int(grown), words


@pytest.fixture
def shop() -> Iterator[Site]:
    with site() as shown:
        shown.show("/sound", bombs.encoded("h264", "matroska"))
        yield shown


def parts(*jpegs: bytes) -> bytes:
    head = b"--ffmpeg\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return b"".join(head % len(jpeg) + jpeg + b"\r\n" for jpeg in jpegs)


def test_giant_pictures_are_refused_in_every_container(shop: Site) -> None:
    containers = ["h264", "mpegts", "flv", "matroska", "mp4", "avi"]
    addresses = [shop.show(f"/{container}", bombs.h264(container)) for container in containers]

    grown, words = growth(shop.url("/sound"), *addresses)

    assert grown < MOST_GROWTH
    assert all("pictures of 16000×16000 pixels" in said for said in words), words


def test_pictures_that_become_giants_later_are_refused(shop: Site) -> None:
    addresses = [shop.show(f"/{container}", bombs.h264(container, after=1)) for container in ("h264", "mpegts", "avi")]

    grown, words = growth(shop.url("/sound"), *addresses)

    assert grown < MOST_GROWTH
    assert "read" not in words


def test_giant_jpegs_are_refused(shop: Site) -> None:
    giant, small = bombs.jpeg(), bombs.jpeg(16)
    kind = "multipart/x-mixed-replace; boundary=ffmpeg"
    addresses = [
        shop.show("/giant", parts(*[giant] * 50), kind),
        shop.show("/later", parts(*[small] * 30, *[giant] * 50), kind),
        shop.show("/raw", giant * 50),
        shop.show("/raw-later", small * 30 + giant * 50),
        shop.show("/65535", parts(*[bombs.jpeg(65_535)] * 50), kind),
    ]

    grown, words = growth(shop.url("/sound"), *addresses)

    assert grown < MOST_GROWTH
    assert "read" not in words


def test_a_png_is_no_video(shop: Site) -> None:
    _, png = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))
    claimed = bytearray(png.tobytes())
    claimed[16:24] = (16_000).to_bytes(4) * 2

    for kind in ("image/png", "multipart/x-mixed-replace; boundary=ffmpeg"):
        with pytest.raises(SourceError):
            open_source(shop.show("/png", bytes(claimed) * 9, kind), open_timeout=5, read_timeout=2)


def test_a_picture_without_an_end_is_given_up(shop: Site) -> None:
    def endless() -> Iterator[bytes]:
        yield b"--ffmpeg\r\nContent-Type: image/jpeg\r\n\r\n" + bombs.jpeg()[:100]
        yield from itertools.repeat(b"\1" * 1_000_000)

    address = shop.show("/endless", endless, "multipart/x-mixed-replace; boundary=ffmpeg")

    grown, words = growth(shop.url("/sound"), address)

    assert grown < 2 * MOST_GROWTH
    assert "sends more data than a picture takes" in words[0]


@pytest.mark.parametrize("coding", bombs.CODERS)
def test_the_limit_holds_for_every_coding(coding: str, shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    address = shop.show("/video", bombs.encoded(coding, "matroska"))
    with closing(open_source(address, open_timeout=5, read_timeout=5)) as source:
        assert source.size == (320, 240)
    monkeypatch.setattr(decoder, "MAX_PIXELS", 320 * 240 - 1)

    with pytest.raises(SourceError, match=r"320×240|sent no picture"):
        open_source(address, open_timeout=5, read_timeout=5)


class TestFiles:
    @pytest.mark.parametrize("container", ["h264", "mp4", "mkv", "avi"])
    def test_giant_pictures_are_refused(self, container: str, tmp_path: Path) -> None:
        sound, giant = tmp_path / f"sound.{container}", tmp_path / f"giant.{container}"
        form = {"mkv": "matroska"}.get(container, container)
        sound.write_bytes(bombs.encoded("h264", form))
        giant.write_bytes(bombs.h264(form))

        grown, words = growth(str(sound), str(giant))

        assert grown < MOST_GROWTH
        assert "has pictures of 16000×16000 pixels" in words[0]

    def test_that_are_too_large_are_told_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.mp4"
        path.write_bytes(bombs.encoded("h264", "mp4"))
        monkeypatch.setattr(decoder, "MAX_PIXELS", 320 * 240 - 1)

        with pytest.raises(SourceRefused, match="has pictures of 320×240 pixels"):
            open_video(path)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.txt", "drawn as a picture\n" * 400),
            ("a.ans", "\x1b[31mdrawn\n" * 400),
            ("a.m3u8", "#EXTM3U\n#EXTINF:3,\n{other}\n#EXT-X-ENDLIST\n"),
            ("a.mp4", "ffconcat version 1.0\nfile {other}\n"),
            ("a.ffconcat", "ffconcat version 1.0\nfile {other}\n"),
            ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"),
            ("a.mpd", '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>'),
            ("a.svg", "<svg xmlns='http://www.w3.org/2000/svg' width='99' height='99'/>"),
        ],
    )
    def test_that_are_texts_or_lead_elsewhere_are_refused(self, name: str, content: str, tmp_path: Path) -> None:
        other = tmp_path / "other.mp4"
        other.write_bytes(bombs.encoded("h264", "mp4"))
        path = tmp_path / name
        path.write_text(content.replace("{other}", other.name))

        with pytest.raises(SourceRefused, match="is no video"):
            open_video(path)

    def test_that_are_pictures_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))

        with pytest.raises(SourceRefused, match=r"is a picture \(PNG\) and no video"):
            open_video(path)

    def test_that_are_videos_are_read(self, tmp_path: Path) -> None:
        for form in ("mp4", "matroska", "avi", "mpegts", "flv", "h264"):
            path = tmp_path / form
            path.write_bytes(bombs.encoded("h264", form))
            assert len(list(frames(open_video(path), None))) == 30, form
