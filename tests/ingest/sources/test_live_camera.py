"""The rules of live cameras, against real servers: refused, let in, cut, brought back, hanging."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trustme

from services.ingest.egress import TRUSTED
from services.ingest.source import SourceClosed, SourceLost, SourceRefused
from services.ingest.sources.live_camera import LiveCamera
from services.ingest.sources.network import open_stream
from services.kit.codec import Image
from tests.support.between import between
from tests.support.grabbing import frames
from tests.support.http_camera import http_camera
from tests.support.rtsp import RtspCamera


def connect(address: str) -> LiveCamera:
    return open_stream(address, egress=TRUSTED, open_timeout=20, read_timeout=2)


@pytest.fixture(scope="module")
def locked_camera() -> Iterator[RtspCamera]:
    with RtspCamera("--user", "admin", "--password", "se/cret") as camera:
        yield camera


def test_cut_camera_is_lost_and_comes_back_at_the_same_address() -> None:
    with RtspCamera() as camera:
        stream = connect(camera.address)
        assert len(list(itertools.islice(frames(stream, None), 5))) == 5

        camera.cut()
        with pytest.raises(SourceLost, match=r"ended the stream|sent no picture"):
            list(itertools.islice(frames(stream, None), 200))
        stream.close()
        with pytest.raises(SourceLost, match=r"connection refused at 127\.0\.0\.1"):
            connect(camera.address)

        camera.switch_on()
        again = connect(camera.address)
        assert len(list(itertools.islice(frames(again, None), 5))) == 5
        again.close()


def test_camera_that_hangs_is_given_up_after_the_time_out() -> None:
    with RtspCamera() as camera:
        stream = connect(camera.address)
        stream.grab()

        camera.hang()
        with pytest.raises(SourceLost, match="sent no picture for 2 s"):
            list(itertools.islice(frames(stream, None), 200))
        stream.close()


def test_close_ends_the_read_of_a_camera_that_hangs() -> None:
    with RtspCamera() as camera:
        stream = open_stream(camera.address, egress=TRUSTED, open_timeout=20, read_timeout=60)
        stream.grab()
        camera.hang()
        outcome: list[Exception] = []

        def read() -> None:
            try:
                list(itertools.islice(frames(stream, None), 200))
            except SourceClosed as closed:
                outcome.append(closed)

        reader = threading.Thread(target=read)
        reader.start()
        stream.close()
        reader.join(20)  # long before the time-out

        assert len(outcome) == 1


def test_time_is_that_of_arrival() -> None:
    with RtspCamera() as camera:
        stream = connect(camera.address)
        stream.grab()
        began = time.monotonic_ns()
        times = [grabbed.pts_ns for grabbed in itertools.islice(frames(stream, None), 30)]
        passed = time.monotonic_ns() - began
        stream.close()

    assert times[-1] - times[0] == pytest.approx(passed, rel=0.2)


def test_pictures_that_waited_in_a_buffer_are_passed_over() -> None:
    with RtspCamera() as camera:
        stream = connect(camera.address)
        stream.grab()
        time.sleep(1.0)  # as a reader that was held up: the network goes on buffering meanwhile
        began = time.monotonic()
        stream.grab()
        stream.grab()
        stream.close()

    # Of the 30 frames that waited none but one is shown, and that takes no longer than a few frames of real time.
    assert 0.02 < time.monotonic() - began < 0.6


def test_a_reader_that_is_too_slow_for_motion_jpeg_is_shown_what_is_new() -> None:
    taken: list[float] = []

    def picture(number: int) -> Image:
        taken[number:] = [time.monotonic()]
        return np.full((120, 160, 3), 3 * number, np.uint8)

    ages = []
    with http_camera(fps=20.0, picture=picture) as address:
        stream = connect(address)
        for held_up in (0.3, 0.3, 0.7, 0.3, 1.5, 0.3):
            time.sleep(held_up)  # as a machine that has other things to do: frames come meanwhile
            stream.grab()
            ages.append(time.monotonic() - taken[round(float(stream.retrieve().mean()) / 3)])
        stream.close()

    assert max(ages) < 0.2, ages


class ScriptedFrames:
    """Frames that arrive at these seconds, and whether a newer one waits behind each."""

    fps = 10.0
    remarks: list[str] = []  # noqa: RUF012  # nobody changes it

    def __init__(self, script: list[tuple[float, bool]]) -> None:
        self._script, self._at = script, -1

    @property
    def arrival(self) -> int:
        return round(self._script[self._at][0] * 1e9)

    @property
    def outdated(self) -> bool:
        return self._script[self._at][1]

    def stop_if_closed(self) -> None:
        pass

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._script)

    def retrieve(self) -> Image:
        return np.full((8, 8, 3), self._at % 256, np.uint8)

    def close(self) -> None:
        pass


def test_however_long_a_stall_was_no_frame_is_shown_while_a_newer_one_waits() -> None:
    now = time.monotonic()
    late = [(now + 20 + i / 50, i < 100) for i in range(101)]
    camera = LiveCamera("camera", ScriptedFrames([(now, False), (now + 10, False), *late, (now + 30, False)]), 5.0)

    shown = []
    for _ in range(3):
        camera.grab()
        shown.append(int(camera.retrieve()[0, 0, 0]))

    assert shown == [1, 102, 103]


def test_a_camera_that_is_always_too_fast_is_shown_all_the_same() -> None:
    now = time.monotonic()
    for step, outdated in ((0.001, False), (0.1, True)):
        camera = LiveCamera("camera", ScriptedFrames([(now + i * step, outdated) for i in range(2000)]), 5.0)

        camera.grab()

        assert camera.retrieve() is not None


class TestLogin:
    def test_camera_with_a_password_is_refused_without_one(self, locked_camera: RtspCamera) -> None:
        with pytest.raises(SourceRefused, match="asks for a user name and password"):
            connect(locked_camera.address)

    def test_wrong_password_is_refused_and_not_repeated(self, locked_camera: RtspCamera) -> None:
        with pytest.raises(SourceRefused, match="are user name and password right") as refused:
            connect(locked_camera.with_login("admin", "guess"))

        assert "guess" not in str(refused.value)
        assert "admin" not in str(refused.value)

    def test_right_password_lets_in_and_stays_secret(self, locked_camera: RtspCamera) -> None:
        stream = connect(locked_camera.with_login("admin", "se%2Fcret"))

        assert stream.grab() is not None
        assert "cret" not in stream.name
        stream.close()


def test_a_camera_over_tls_is_read_whatever_its_certificate(tmp_path: Path) -> None:
    certificate = tmp_path / "camera.pem"
    trustme.CA().issue_cert("another.example").private_key_and_cert_chain_pem.write_to_path(certificate)
    with RtspCamera() as camera, between(camera.address, certificate=certificate) as address:
        stream = connect(address)
        pictures = [grabbed.image.shape for grabbed in itertools.islice(frames(stream, None), 5)]
        stream.close()

    assert address.startswith("rtsps://")
    assert pictures == [(240, 320, 3)] * 5


def test_pictures_that_change_their_size_go_on() -> None:
    def picture(number: int) -> Image:
        return np.full((120, 160, 3) if number < 10 else (240, 320, 3), 90, np.uint8)

    with http_camera(fps=10.0, picture=picture) as address:
        stream = connect(address)
        shapes = [grabbed.image.shape[:2] for grabbed in itertools.islice(frames(stream, None), 20)]
        stream.close()

    assert {shapes[0], shapes[-1]} == {(120, 160), (240, 320)}


def test_a_camera_that_does_not_take_its_leave_is_left_at_once() -> None:
    with RtspCamera() as camera:
        stream = connect(camera.address)
        camera.hang()
        closing = threading.Thread(target=stream.close)
        closing.start()
        closing.join(20)  # long before the time-out of anything that waits for an answer

        assert not closing.is_alive()


def test_wrong_path_says_that_the_camera_answers() -> None:
    with RtspCamera() as camera, pytest.raises(SourceLost, match="has no stream at this path"):
        connect(camera.address + "era")


def test_unknown_machine() -> None:
    with pytest.raises(SourceLost, match=r"no machine named nowhere\.invalid is known"):
        connect("rtsp://nowhere.invalid/cam")


def test_machine_that_takes_the_call_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(SourceLost, match=r"127\.0\.0\.1 did not answer within 1 s"):
            open_stream(f"rtsp://127.0.0.1:{port}/cam", egress=TRUSTED, open_timeout=1, read_timeout=1)


def test_motion_jpeg_over_http_is_a_camera_too() -> None:
    with http_camera() as address:
        stream = connect(address)
        pictures = [grabbed.image.shape for grabbed in itertools.islice(frames(stream, None), 5)]
        stream.close()

    assert pictures == [(120, 160, 3)] * 5


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, SourceRefused, "asks for a user name and password"),
        (404, SourceLost, "has no stream at this path"),
        (503, SourceLost, "answers with status 503"),
    ],
)
def test_http_camera_that_will_not_show_anything(status: int, error: type[Exception], words: str) -> None:
    with http_camera(status) as address, pytest.raises(error, match=words):
        connect(address)
