"""Cameras that send what the files of `test_field.py` hold are read live for what they show, over RTSP and HTTP.

All cameras of a protocol are watched at once, in real time. Each shows a still scene, two people who come in, where
there is real footage, and a box that moves.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from contracts.events import Crossing
from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, Direction, Policy
from contracts.spec import CameraSpec, Capture, CountingLine, Side
from services.detector.inference import analyze
from services.detector.models.loading import open_detector
from services.ingest.decimator import SECOND
from services.ingest.decoding.remarks import INTERLACED
from services.ingest.egress import TRUSTED
from services.ingest.source import SourceError, SourceLost
from services.ingest.sources.dating import WallClock
from services.ingest.sources.live_camera import LiveCamera
from services.ingest.sources.network import open_stream
from services.ingest.sources.video_file import open_video
from services.kit.codec import Encoded, Image, decode, encode
from services.tracker.counting.camera_counter import CameraCounter
from tests.conftest import no_footage
from tests.ingest.test_field import combing
from tests.support.between import Bend, between
from tests.support.films import moving_box, shift_times, write, write_interlaced, write_tracks
from tests.support.grabbing import frames
from tests.support.http_films import Playlist, Sent, as_motion_jpeg, by_packet, http_films
from tests.support.rtsp import RtspCamera

FPS, SIZE = 10, (384, 216)
FAST = 25  # MPEG-2 knows no ten frames a second: people are faster there
LEAD, BOXES = 50, 20
"""Pictures before people come, while streams are being opened, and of the box at the end."""
HOUR = 3600
CLOCK = 90_000  # ticks of RTP a second
MODEL = "person-detection-0200"
LINE = CountingLine(id="door", x1=0.72, y1=0.0, x2=0.72, y2=1.0, in_side=Side.LEFT)
H264 = {"preset": "ultrafast", "g": "10"}
H265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=10"}


@dataclass
class Seen:
    """The frames that a camera showed.

    Attributes:
        name: its kind.
        times: of its frames, ns UTC.
        until: when the last one had been read.
    """

    name: str
    pictures: list[Encoded] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    until: int = 0
    remarks: list[str] = field(default_factory=list)
    failure: SourceError | None = None

    def images(self) -> list[Image]:
        return [decode(one.jpeg) for one in self.pictures]


def watch(name: str, address: str) -> Seen:
    """Watch a camera until it ends its stream."""
    seen = Seen(name)
    try:
        with closing(open_stream(address, egress=TRUSTED, open_timeout=30, read_timeout=10)) as source:
            _look(source, seen)
    except SourceError as failure:
        seen.failure = failure
    return seen


def _look(source: LiveCamera, seen: Seen) -> None:
    clock = WallClock()  # as the worker of a camera has it
    while True:
        try:
            pts = source.grab()
        except SourceLost as ended:
            if "ended the stream" in str(ended):
                break
            raise
        seen.times.append(clock.date(pts))
        seen.until = time.time_ns()
        seen.pictures.append(encode(source.retrieve(), Capture()))
    seen.remarks = [note.text for note in source.notes]


def watch_all(addresses: Mapping[str, str], kinds: set[str]) -> dict[str, Seen]:
    """Watch those of some cameras that are of some kinds, at once."""
    addresses = {name: address for name, address in addresses.items() if name in kinds}
    with ThreadPoolExecutor(len(addresses)) as threads:
        return dict(zip(addresses, threads.map(watch, addresses, addresses.values()), strict=True))


@pytest.fixture(scope="module")
def scene(request: pytest.FixtureRequest) -> list[Image]:
    """The pictures that every camera shows."""
    people: list[Image] = []
    if no_footage() is None:
        footage: Path = request.getfixturevalue("footage")
        with closing(open_video(footage / "field" / "twovideo.mkv")) as video:
            people = [
                cv2.resize(one.image, SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8)
                for one in frames(video, None)
            ]
    boxes = [moving_box(number, SIZE) for number in range(BOXES)]
    still = (people or boxes)[0]
    return [still] * LEAD + people + boxes


def resized(picture: Image) -> Image:
    return cast("Image", cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA))


def woven(scene: list[Image]) -> list[Image]:
    """Two pictures for each frame of interlaced video."""
    return [one for pair in itertools.pairwise([*scene, scene[-1]]) for one in pair]


@pytest.fixture(scope="module")
def kinds(request: pytest.FixtureRequest) -> set[str]:
    """The kinds of cameras that this run asks for."""
    asked = [item.name for item in request.session.items if item.path == request.path]
    return {kind for by, kind in CAMERAS if any(f"[{kind} over {by}]" in name for name in asked)}


@pytest.fixture(scope="module")
def over_rtsp(kinds: set[str], scene: list[Image], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """The frames of each RTSP camera."""
    folder = tmp_path_factory.mktemp("rtsp")
    plain = write(folder / "h264.mkv", scene, "libx264", fps=FPS, options=H264)
    h265 = write(folder / "h265.mkv", scene, "libx265", fps=FPS, options=H265)
    ten_bit = write(folder / "10.mkv", scene, "libx265", fps=FPS, pixels="yuv420p10le", options=H265)
    standard = {"huffman": "default"}  # as JPEG over RTP has to be (RFC 2435)
    mjpeg = write(folder / "mjpeg.mkv", scene, "mjpeg", fps=FPS, pixels="yuvj420p", options=standard)
    interlaced = write_interlaced(folder / "i264.mkv", woven(scene), "libx264", fps=FPS)
    sub = [one[::2, ::2].copy() for one in scene]
    two = write_tracks(folder / "two.mkv", [("libx264", sub), ("libx264", scene)], fps=FPS)

    def of(path: Path, payload: str) -> str:
        return f'filesrc location="{path}" ! matroskademux ! queue ! {payload} name=pay0 pt=96'

    as_h264, as_h265 = (f"{name}parse ! rtp{name}pay config-interval=-1" for name in ("h264", "h265"))
    sound = (
        f"audiotestsrc num-buffers={len(scene)} samplesperbuffer=800 ! audio/x-raw,rate=8000,channels=1"
        " ! alawenc ! rtppcmapay name=pay1 pt=8"
    )
    streams = {
        "H.264": f"( {of(plain, as_h264)} )",
        "H.265": f"( {of(h265, as_h265)} )",
        "H.265, 10 bit": f"( {of(ten_bit, as_h265)} )",
        "motion JPEG": f"( {of(mjpeg, 'jpegparse ! rtpjpegpay')} )",
        "interlaced H.264": f"( {of(interlaced, as_h264)} )",
        "sound beside": f"( {of(plain, as_h264)} {sound} )",
        "a sub-stream beside": f'( filesrc location="{two}" ! matroskademux name=d '
        f"d.video_0 ! queue ! {as_h264} name=pay0 pt=96 d.video_1 ! queue ! {as_h264} name=pay1 pt=97 )",
    }
    streams |= dict.fromkeys(CLOCKS, streams["H.264"])
    paths = {name: f"stream{number}" for number, name in enumerate(streams)}
    with ExitStack() as stack:
        camera = stack.enter_context(RtspCamera(streams={paths[name]: one for name, one in streams.items()}))
        addresses = {name: camera.at(path) for name, path in paths.items()}
        for name, bend in CLOCKS.items():
            addresses[name] = stack.enter_context(between(addresses[name], bend()))
        return watch_all(addresses, kinds)


def stepping(seconds: float) -> Callable[[], Bend]:
    """A clock that is set while the people walk."""

    def bend() -> Bend:
        first: list[int] = []

        def ticks(said: int) -> int:
            first.append(said)
            passed = (said - first[0]) % 2**32
            return said + (round(seconds * CLOCK) if passed > (LEAD / FPS + 4) * CLOCK else 0)

        return ticks

    return bend


def wrapping() -> Bend:
    first: list[int] = []

    def ticks(said: int) -> int:
        first.append(said)
        return said - first[0] - round((LEAD / FPS + 4) * CLOCK)

    return ticks


CLOCKS: dict[str, Callable[[], Bend]] = {
    "a clock that is set two hours back": stepping(-2 * HOUR),
    "a clock that is set an hour ahead": stepping(HOUR),
    "a clock that is set five seconds ahead": stepping(5),
    "a clock that wraps": wrapping,
    "a clock that stands still": lambda: lambda _: 5 * CLOCK,
}
RTSP = (
    "H.264",
    "H.265",
    "H.265, 10 bit",
    "motion JPEG",
    "interlaced H.264",
    "sound beside",
    "a sub-stream beside",
    *CLOCKS,
)
HTTP = (
    "MPEG-TS",
    "interlaced MPEG-2",
    "a TS clock that is set back",
    "a TS clock that is set ahead",
    "motion JPEG",
    "HLS",
    "HLS whose clock is set back",
    "a rotated MP4",
)


@pytest.fixture(scope="module")
def over_http(kinds: set[str], scene: list[Image], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """The frames of each HTTP camera."""
    folder = tmp_path_factory.mktemp("http")
    plain = write(folder / "a.ts", scene, "libx264", fps=FPS, options=H264)
    mpeg2 = write_interlaced(folder / "i.ts", woven([scene[0]] * LEAD * 2 + scene), "mpeg2video", fps=FAST)
    mp4 = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    turned = write(
        folder / "a.mp4",
        [np.ascontiguousarray(np.rot90(one)) for one in scene],
        "libx264",
        fps=FPS,
        options=H264,
        container=mp4,
    )
    turn(turned)
    half = LEAD + 40
    halves = [
        write(folder / f"{name}.ts", part, "libx264", fps=FPS, options=H264)
        for name, part in (("first", scene[:half]), ("second", scene[half:]))
    ]

    def set_clock(seconds: int) -> list[Path]:
        moments = (10 * HOUR, 10 * HOUR + half // FPS + seconds)
        return [shift_times(one, folder / f"{at}.part", at) for one, at in zip(halves, moments, strict=True)]

    def joined(seconds: int) -> Path:
        path = folder / f"{seconds}.ts"
        path.write_bytes(b"".join(one.read_bytes() for one in set_clock(seconds)))
        return path

    films: dict[str, Sent | Playlist] = {
        "MPEG-TS": by_packet(plain, "video/mp2t", FPS),
        "interlaced MPEG-2": by_packet(mpeg2, "video/mp2t", FAST),
        "a TS clock that is set back": by_packet(joined(-2 * HOUR), "video/mp2t", FPS),
        "a TS clock that is set ahead": by_packet(joined(HOUR), "video/mp2t", FPS),
        "motion JPEG": as_motion_jpeg([encode(one, Capture()).jpeg for one in scene], FPS),
        "HLS": segmented(scene, folder, lambda _: 0),
        "HLS whose clock is set back": segmented(scene, folder, lambda number: -2 * HOUR if number > half // 20 else 0),
        "a rotated MP4": by_packet(turned, "video/mp4", FPS),
    }
    names = {name: f"film{number}" for number, name in enumerate(films)}
    with http_films({names[name]: film for name, film in films.items()}) as at:
        return watch_all({name: at(path) for name, path in names.items()}, kinds)


def segmented(scene: list[Image], folder: Path, clock: Callable[[int], int]) -> Playlist:
    """Segments of two seconds, and what the clock is set to in each, seconds."""
    length = 2 * FPS
    segments = []
    for number, begin in enumerate(range(0, len(scene), length)):
        part = write(folder / "part.ts", scene[begin : begin + length], "libx264", fps=FPS, options=H264)
        shifted = shift_times(part, folder / "shifted.ts", 5 * HOUR + begin // FPS + clock(number))
        segments.append(shifted.read_bytes())
    return Playlist(segments, length / FPS)


def turn(path: Path) -> None:
    """Have an MP4 say that its pictures are to be turned by a quarter, clockwise (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    matrix = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(value.to_bytes(4, signed=True) for value in matrix)
    path.write_bytes(data)


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Seen:
    """The frames of a camera, by its protocol and kind."""
    protocol, kind = request.param
    everything: dict[str, Seen] = request.getfixturevalue(f"over_{protocol}")
    if (failure := everything[kind].failure) is not None:
        raise failure
    return everything[kind]


CAMERAS = [("rtsp", kind) for kind in RTSP] + [("http", kind) for kind in HTTP]
CLOCK_SET = "its clock was set while it was read, 1×: times go on at the frame rate"
QUICK = {
    ("rtsp", "interlaced H.264"),
    ("http", "HLS whose clock is set back"),
}
"""Those of the quick run: all at once take two processors for a minute."""
every_camera = pytest.mark.parametrize(
    "seen",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.exhaustive) for one in CAMERAS],
    indirect=True,
    ids=[f"{kind} over {by}" for by, kind in CAMERAS],
)


@every_camera
def test_pictures_are_whole_upright_and_not_black(seen: Seen) -> None:
    images = seen.images()
    boxes = [image for image in images if abs(np.median(image) - np.median(moving_box(0))) < 5]
    torn = moving_box(0, SIZE)
    torn[1::2] = moving_box(1, SIZE)[1::2]

    assert {image.shape for image in images} == {(SIZE[1], SIZE[0], 3)}
    assert all(image.mean() > 20 for image in images)
    assert boxes
    assert np.median([combing(image) for image in boxes]) < (combing(torn) + combing(moving_box(0, SIZE))) / 2


@every_camera
def test_times_grow_and_are_never_those_of_the_future(seen: Seen) -> None:
    assert all(after > before for before, after in itertools.pairwise(seen.times))
    assert seen.times[-1] <= seen.until
    assert seen.until - seen.times[0] < 60 * SECOND


@pytest.mark.footage
@every_camera
def test_people_are_counted(seen: Seen, footage: Path, tmp_path: Path) -> None:
    detector = open_detector(MODEL, folders=[footage / "models"], cache=tmp_path, threads=1)
    spec = CameraSpec(store="shop", camera="door", model=MODEL, lines=(LINE,), policy=Policy.LATEST)
    counter = CameraCounter(LIVE, spec.store, spec.camera)
    crossings: list[Crossing] = []
    for seq, (at, picture) in enumerate(zip([*seen.times, seen.times[-1]], [*seen.pictures, None], strict=True)):
        header = FrameHeader(
            run=LIVE,
            store=spec.store,
            camera=spec.camera,
            session="session",
            seq=seq,
            previous=seq - 1 if seq else None,
            captured_at=at,
            width=SIZE[0],
            height=SIZE[1],
            spec_revision=spec.revision,
            policy=spec.policy,
            end=EndReason.LOST if picture is None else None,
        )
        detections = analyze(header, b"" if picture is None else picture.jpeg, detector, spec)
        crossings += counter.step(detections, spec).crossings

    entered = [crossing.at for crossing in crossings if crossing.direction is Direction.IN]
    assert len(entered) == 2
    expected = 4.6 * FPS / (FAST if seen.name == "interlaced MPEG-2" else FPS)
    assert (entered[1] - entered[0]) / SECOND == pytest.approx(expected, abs=1.0)
    assert seen.times[0] <= entered[0] < entered[1] <= seen.times[-1]


@every_camera
def test_what_is_unusual_is_told(seen: Seen) -> None:
    told = {
        "a clock that is set two hours back": CLOCK_SET,
        "a clock that is set an hour ahead": CLOCK_SET,
        "a TS clock that is set back": CLOCK_SET,
        "a TS clock that is set ahead": CLOCK_SET,
        "HLS whose clock is set back": CLOCK_SET,
        "interlaced H.264": INTERLACED,
        "interlaced MPEG-2": INTERLACED,
        "a sub-stream beside": "track 2 (h264, 384×216) is read, not track 1 (h264, 192×108)",
    }
    assert seen.remarks == ([told[seen.name]] if seen.name in told else [])
