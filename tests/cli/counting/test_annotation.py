"""The video that `metrica count --annotate` writes: the source's times, and playable however the command ends."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest

from services.cli.counting.video_writer import VideoWriter
from services.kit.codec import Image
from tests.cli.command import METRICA, SETTINGS, metrica
from tests.support.films import moving_box, write

LINE = ("--line", "0.5,0,0.5,1", "--in", "left", "--detector", "motion")
LONG = "sim://door?people=2000&pace=max&width=320&height=180"
HOUR = 3_600_000


def times(path: Path) -> list[float]:
    """Of the pictures of a video, seconds."""
    with closing(av.open(str(path))) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([number * 100 + (number >= 10) * HOUR for number in range(20)], id="an hour's pause"),
        pytest.param([number * 100 + (number >= 10) * 100 * HOUR for number in range(20)], id="four days' pause"),
        pytest.param([0, 40, 80, 200, 233, 266, 300, 1000, 1001, 1500], id="variable frame rate"),
    ],
)
def test_each_frame_has_the_sources_time(tmp_path: Path, given: list[int]) -> None:
    source = write(tmp_path / "a.mkv", [moving_box(number) for number in range(len(given))], "libx264", times=given)

    outcome = metrica("count", source, *LINE, "--annotate", tmp_path / "seen.mp4")

    assert outcome.code == 0, outcome.err
    assert times(tmp_path / "seen.mp4") == pytest.approx([at / 1000 for at in given], abs=0.0011)


def test_pictures_of_an_odd_size_lose_a_row_and_a_column(tmp_path: Path) -> None:
    film = VideoWriter(tmp_path / "a.mp4", (161, 121), 10)
    film.add(np.full((121, 161, 3), 200, np.uint8), 0)
    film.close()

    with closing(av.open(str(tmp_path / "a.mp4"))) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (160, 120)


def noise(number: int) -> Image:
    """A picture that takes room."""
    return np.random.default_rng(number).integers(0, 255, (120, 160, 3), np.uint8)


def test_full_disk_is_told_and_what_is_written_plays(tmp_path: Path) -> None:
    path = tmp_path / "seen.mp4"
    limit = 300_000
    source = write(tmp_path / "a.mkv", [noise(number) for number in range(120)], "libx264")
    done = subprocess.run(
        [METRICA, "count", source, *LINE, "--annotate", path],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | SETTINGS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert done.returncode == 2
    assert "(120 frames; motion)" in done.stdout, "the count itself is whole"
    assert done.stderr.startswith(f"metrica: --annotate {path}: File too large: the video ends early")
    assert done.stderr.count("\n") == 1
    assert 20 <= len(times(path)) < 120


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_however_the_command_is_ended_the_video_plays(tmp_path: Path, number: signal.Signals, code: int) -> None:
    path = tmp_path / "seen.mp4"
    with subprocess.Popen(
        [METRICA, "count", LONG, "--annotate", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | SETTINGS,
    ) as running:
        while not path.exists() or path.stat().st_size < 20_000:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(number)
        _, told = running.communicate()

    assert running.returncode == code
    assert b"Traceback" not in told
    assert len(times(path)) >= 20
