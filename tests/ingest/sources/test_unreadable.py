"""Files that hold no video we can read are named for what they are, with what to do."""

from __future__ import annotations

import os
import tarfile
import wave
import zipfile
from contextlib import closing
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from services.ingest.source import SourceRefused
from services.ingest.sources.opening import open_source
from tests.support.films import moving_box, write


def refusal(path: Path) -> str:
    with pytest.raises(SourceRefused) as caught:
        open_source(str(path))
    words = str(caught.value)
    assert "\n" not in words
    return words


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "tiff", "webp", "gif", "avif"])
@pytest.mark.parametrize("ending", ["", ".mp4"])
def test_a_picture_is_a_picture_whatever_it_is_called(tmp_path: Path, kind: str, ending: str) -> None:
    path = tmp_path / f"a.{kind}"
    assert cv2.imwrite(str(path), moving_box(0))
    path = path.rename(tmp_path / f"b.{kind}{ending}")

    assert "is a picture (" in refusal(path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    video = write(tmp_path / "in.mp4", [moving_box(0)] * 3, "libx264")
    with zipfile.ZipFile(tmp_path / "a.mp4", "w") as packed:
        packed.write(video)
    with tarfile.open(tmp_path / "b.mp4", "w") as tarred:
        tarred.add(video)

    assert refusal(tmp_path / "a.mp4") == "a.mp4 is a zip archive: unpack it, and give the video that is in it"
    assert refusal(tmp_path / "b.mp4").startswith("b.mp4 is a tar archive")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "flac"), ("a.ts", "mp2"), ("a.mp3", "mp3"), ("a.flac", "flac")]
)
def test_sound_alone_is_told(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    with closing(av.open(str(path), "w")) as container:
        stream = cast("AudioStream", container.add_stream(codec, rate=48000))
        for number in range(40):
            frame = AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, number * 1152
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    assert refusal(path).endswith("has sound and no video")


def test_a_wave_file_is_sound(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.mp4"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))

    assert refusal(tmp_path / "a.mp4") == "a.mp4 has sound and no video"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"date,in,out\n2026-11-28,4,5\n" * 50, "it is a text file"),
        ("größer als gedacht\n".encode() * 300, "it is a text file"),
        (bytes(5000), "it holds zeros alone"),
        (b"%PDF-1.7 and so on", "is a PDF document"),
        (b"\x7fELF" + bytes(100), "is a program"),
        (np.random.default_rng(1).integers(0, 256, 9000, np.uint8).tobytes(), "FFmpeg does not know its format"),
        (b"", "is an empty file"),
    ],
    ids=["text", "text beyond ASCII", "zeros", "pdf", "program", "noise", "empty"],
)
def test_what_is_no_video_at_all_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)

    assert words in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize(("code", "coding"), [(b"evc1", "EVC"), (b"avs3", "AVS3"), (b"qqqq", "qqqq")])
def test_a_coding_without_a_decoder_is_named_with_the_command_that_converts_it(
    tmp_path: Path, code: bytes, coding: str
) -> None:
    path = write(tmp_path / "a b.mp4", [moving_box(number) for number in range(5)], "libx264")
    path.write_bytes(path.read_bytes().replace(b"avc1", code))

    assert refusal(path) == (
        f"a b.mp4 holds {coding} video, which this build cannot decode: ffmpeg -i 'a b.mp4' -c:v libx264 out.mp4"
    )


def test_so_is_one_of_matroska(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [moving_box(number) for number in range(5)], "libx264")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_UNHEARD/OF/YE"))

    assert "holds UNHEARD/OF/YE video" in refusal(path)


@pytest.mark.parametrize("code", [b"encv", b"drmi"])
def test_a_protected_video_is_told_to_be_encrypted(tmp_path: Path, code: bytes) -> None:
    path = write(tmp_path / "a.mp4", [moving_box(number) for number in range(5)], "libx264")
    path.write_bytes(path.read_bytes().replace(b"avc1", code))

    assert refusal(path).startswith("a.mp4 is encrypted (DRM): export it without protection")


def test_a_really_encrypted_video_is_told_to_be_so(tmp_path: Path) -> None:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    plain = write(tmp_path / "plain.mp4", [moving_box(number) for number in range(20)], "libx264")
    path = tmp_path / "a.mp4"
    with closing(av.open(str(plain))) as source, closing(av.open(str(path), "w", options=options)) as sink:
        video = source.streams.video[0]
        out = sink.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.size:
                packet.stream = out
                sink.mux(packet)

    assert refusal(path).startswith("a.mp4 is encrypted (DRM)")


def element(name: str, content: bytes) -> bytes:
    """An element of Matroska: its id in hexadecimal, its size, its content."""
    return bytes.fromhex(name) + (len(content) | 1 << 28).to_bytes(4, "big") + content


def test_an_encrypted_matroska_is_told_to_be_so(tmp_path: Path) -> None:
    encoding = element("6240", element("5035", element("47e1", b"\x05")))
    track = element("d7", b"\x01") + element("83", b"\x01") + element("86", b"V_VP9") + element("6d80", encoding)
    header = element("1a45dfa3", element("4282", b"webm"))
    (tmp_path / "a.mkv").write_bytes(header + element("18538067", element("1654ae6b", element("ae", track))))

    assert "is encrypted (DRM)" in refusal(tmp_path / "a.mkv")


def test_a_scrambled_recording_of_a_broadcast_is_encrypted(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    noise = [chance.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(10)]
    raw = bytearray((path := write(tmp_path / "a.ts", noise, "libx264")).read_bytes())
    for at in range(0, len(raw), 188):
        if int.from_bytes(raw[at + 1 : at + 3], "big") & 0x1FFF == 0x100:  # the video's; tables stay in the clear
            begin = at + 4 + (1 + raw[at + 4] if raw[at + 3] & 0x20 else 0)
            raw[begin : at + 188] = chance.integers(0, 256, at + 188 - begin, np.uint8).tobytes()
            raw[at + 3] |= 0xC0
    path.write_bytes(raw)

    assert "is encrypted (DRM)" in refusal(path)


class TestStreams:
    """A source that can be read only once is refused at once, and never waited for."""

    def test_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.mp4")

        assert "is a pipe" in refusal(tmp_path / "a.mp4")

    def test_standard_input_and_what_a_shell_substitutes(self) -> None:
        reading, writing = os.pipe()
        try:
            assert "is a pipe" in refusal(Path(f"/dev/fd/{reading}"))
            assert "is standard input" in refusal(Path("-"))
        finally:
            os.close(reading)
            os.close(writing)

    def test_a_file_as_standard_input_is_a_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.mp4", [moving_box(number) for number in range(5)], "libx264")
        with path.open("rb") as file, closing(open_source(f"/dev/fd/{file.fileno()}")) as source:
            assert source.size == (320, 240)
