"""The rules of `metrica eval --sweep`: what is tried, and that what is shared changes nothing."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from contracts.events import Model
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture, CountingLine
from services.cli.console.errors import CommandError
from services.cli.counting.pipeline import Pipeline
from services.cli.evaluation.shared_pass import Count, count_together
from services.cli.evaluation.sweep import Setting, Sweep
from services.detector.backends.protocol import Found, Image
from services.ingest.source import decimate
from services.ingest.sources.video_file import open_video
from tests.cli.command import metrica
from tests.support.clips import write_clip

FRAMES, FPS = 50, 10.0
CAPTURES = [
    Capture(fps=fps, width=width, quality=quality)
    for fps in (None, 7.0, 2.5)
    for width, quality in ((960, 85), (200, 85), (80, 85), (80, 40))
]


class WhiteSquare:
    """Finds the clip's white square, which walks back and forth; counts how often it was asked."""

    stateful = False
    model = Model(name="white-square")

    def __init__(self) -> None:
        self.looked = 0

    def detect(self, frame: Image, stream: str) -> Found:
        self.looked += 1
        ys, xs = np.nonzero(frame.min(axis=2) > 200)
        box = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]
        return Found(np.array(box, np.float32), np.array([0.9], np.float32))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("sweep") / "square.mp4", count=FRAMES, fps=FPS)


def spec(capture: Capture) -> CameraSpec:
    line = CountingLine(id="line", x1=0.5, y1=0, x2=0.5, y2=1)
    return CameraSpec(store="store", camera="camera", policy=Policy.EVERY, capture=capture, lines=(line,))


def test_each_setting_counts_what_it_counts_alone(video: Path) -> None:
    shared, source = WhiteSquare(), open_video(video)
    counts = [Count(source, spec(capture), shared) for capture in CAPTURES]
    for _ in count_together(source, counts):
        pass
    source.close()

    for capture, count in zip(CAPTURES, counts, strict=True):
        source = open_video(video)
        alone = Pipeline(source, spec(capture), WhiteSquare(), start=0)
        for _ in alone.run():
            pass
        source.close()
        assert count.tally == alone.tally
    assert any(count.tally.crossings for count in counts)


def test_no_picture_is_looked_at_twice(video: Path) -> None:
    """Three looks: 960 and 200 pixels are the same for a clip of 160."""
    detector, source = WhiteSquare(), open_video(video)
    for _ in count_together(source, [Count(source, spec(capture), detector) for capture in CAPTURES]):
        pass
    source.close()

    assert detector.looked == FRAMES * 3


def test_frames_that_nobody_wants_are_left_alone(video: Path) -> None:
    detector, source = WhiteSquare(), open_video(video)
    for _ in count_together(source, [Count(source, spec(Capture(fps=fps)), detector) for fps in (1.0, 2.0)]):
        pass
    source.close()

    wanted = set()
    for fps in (1.0, 2.0):
        source = open_video(video)
        wanted |= {pts_ns for _, pts_ns in decimate(source, fps)}
        source.close()
    assert detector.looked == len(wanted) < FRAMES / 2


def test_several_dimensions_are_tried_in_all_combinations() -> None:
    tried = Sweep.parse(["fps=5,10", "detector=a,b"]).settings(Setting("c", width=320))

    assert tried == [
        Setting("a", fps=5.0, width=320),
        Setting("b", fps=5.0, width=320),
        Setting("a", fps=10.0, width=320),
        Setting("b", fps=10.0, width=320),
    ]


def test_rate_is_a_part_of_the_clips_own() -> None:
    (half,) = Sweep.parse(["rate=1/2"]).settings(Setting())

    assert half.rate == Fraction(1, 2)
    assert half.capture(25.0).fps == 12.5
    assert Setting().capture(25.0).fps is None


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        pytest.param(["speed=1"], "give one of fps, rate, width, quality, detector", id="unknown dimension"),
        pytest.param(["fps"], "as in --sweep fps=1,5,25", id="no values"),
        pytest.param(["fps=1,,2"], "nothing is no fps", id="an empty value"),
        pytest.param(["fps=0"], "0 is no fps: give frames per second, up to 120", id="no frames"),
        pytest.param(["fps=nan"], "nan is no fps", id="not a number"),
        pytest.param(["rate=2"], "2 is no rate: give parts", id="more than there is"),
        pytest.param(["rate=1/0"], "1/0 is no rate", id="divided by nothing"),
        pytest.param(["width=10"], "10 is no width: give pixels from 64", id="too narrow"),
        pytest.param(["quality=good"], "good is no quality: give a JPEG quality", id="a word"),
        pytest.param(["fps=5,5.0"], "a value is there twice", id="a value twice"),
        pytest.param(["fps=5", "fps=10"], "fps is swept twice", id="a dimension twice"),
        pytest.param(["fps=5", "rate=1"], "the same thing in two measures", id="rate in two measures"),
    ],
)
def test_sweep_that_cannot_be_understood_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        Sweep.parse(texts)


@pytest.fixture(scope="module")
def folder(video: Path) -> Path:
    """The walking square with a truth that nobody checked: motion has little to say of it."""
    clip = {"fps": FPS, "line": [0.5, 0, 0.5, 1], "in_side": "-", "crossing_frames": [[30, "in"]]}
    (video.parent / "truth.json").write_text(json.dumps({video.name: clip}))
    return video.parent


def test_sweep_says_what_eval_says_of_each_setting(folder: Path) -> None:
    swept = metrica("eval", folder, "--detector", "motion", "--sweep", "fps=5,10", "--json")

    assert swept.code == 0, swept.err
    for setting in json.loads(swept.out)["settings"]:
        alone = metrica("eval", folder, "--detector", "motion", "--fps", str(setting["fps"]), "--json")
        assert json.loads(alone.out)["clips"] == setting["clips"]
        assert (setting["detector"], setting["width"], setting["quality"]) == ("motion", 960, 85)


def test_table_has_a_row_for_each_setting(folder: Path) -> None:
    outcome = metrica("eval", folder, "--detector", "motion", "--sweep", "fps=3,10", "--sweep", "width=120,160")

    assert outcome.code == 0, outcome.err
    rows = [line.split("│") for line in outcome.out.splitlines() if line.startswith("│")]
    assert [(row[1].strip(), row[2].strip()) for row in rows] == [
        ("3", "120"), ("3", "160"), ("10", "120"), ("10", "160")
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_is_drawn(folder: Path, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"sweep.{suffix}"

    outcome = metrica("eval", folder, "--detector", "motion", "--sweep", "fps=3,10", "--plot", picture)

    assert outcome.code == 0, outcome.err
    assert picture.read_bytes().startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--plot", "x.png"], "nothing to draw without --sweep"),
        (["--sweep", "fps=1,2", "--plot", "x.pdf"], "ends in .png or .svg"),
        (["--sweep", "fps=1,2", "--plot", "nowhere/x.png"], "there is no folder nowhere"),
        (["--sweep", "rate=1,1/2", "--fps", "5"], "--fps and --sweep rate: give one of them"),
        (["--sweep", "detector=motion", "--detector", "motion"], "--detector and --sweep detector"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_the_work(
    folder: Path, options: list[str], words: str
) -> None:
    outcome = metrica("eval", folder, *options)

    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
