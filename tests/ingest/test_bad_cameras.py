"""Cameras that misbehave, in one ingest beside one that is well: each is told in words, and no other notices."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sized
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from contracts.events import State, Status
from contracts.frames import FrameHeader
from contracts.identity import LIVE
from contracts.spec import CameraSpec, Capture, Source, current_key
from contracts.streams import CAMERAS, SOURCES, STATUS
from contracts.subjects import frames, status
from services.ingest.app import IngestService
from services.ingest.settings import IngestSettings
from services.kit.codec import decode, encode
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.support.bad_camera import Behaviour, bad_camera, saying, silent
from tests.support.broker import connected, eventually
from tests.support.clips import numbered_picture
from tests.support.films import moving_box, write
from tests.support.http_camera import http_camera
from tests.support.http_films import by_packet, http_films
from tests.support.scripted_rtsp import reply, scripted_rtsp

TIMEOUT = 2.0
FPS = 5.0
Address = AbstractContextManager[str]


@contextmanager
def at(scheme: str, behaviour: Behaviour) -> Iterator[str]:
    with bad_camera(behaviour) as port:
        yield f"{scheme}://me:secret@127.0.0.1:{port}/cam"


@contextmanager
def rtsp(answers: Mapping[str, bytes]) -> Iterator[str]:
    with scripted_rtsp(answers) as camera:
        yield camera.address.replace("rtsp://", "rtsp://me:secret@")


@contextmanager
def by_udp(transport: str) -> Iterator[str]:
    with rtsp({"SETUP": reply(headers={"Transport": transport, "Session": "1"})}) as address:
        yield address.replace("rtsp://", "rtspu://")


@contextmanager
def recoded(folder: Path) -> Iterator[str]:
    """An MPEG-TS that is H.264 for three seconds, and H.265 at the same place from then on."""
    whole, pictures = folder / "recoded.ts", [moving_box(number) for number in range(120)]
    h264 = write(folder / "h264.ts", pictures[:30], "libx264", fps=10, options={"preset": "ultrafast", "g": "10"})
    quiet = {"preset": "ultrafast", "x265-params": "log-level=none"}
    h265 = write(folder / "h265.ts", pictures, "libx265", fps=10, options=quiet)
    whole.write_bytes(h264.read_bytes() + h265.read_bytes())
    with http_films({"cam": by_packet(whole, "video/mp2t", fps=10)}) as at:
        yield at("cam")


JPEG = encode(numbered_picture(1), Capture()).jpeg
SOUND = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\na=control:track1\r\n"
MJPEG = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(JPEG)
ASKED = {"basic": 'Basic realm="cam"', "digest": 'Digest realm="cam", nonce="0123456789abcdef"'}
OK = b"HTTP/1.1 200 OK\r\n\r\n"
HTTP_401 = b"HTTP/1.1 401 No\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n"

NO_ANSWER, NO_TLS, NO_HTTP = "did not answer within 2 s", "does not answer in TLS", "answers, but not in HTTP"
NO_VIDEO, NO_PICTURE = "answers, but sends no video that can be read", "answers, but sent no picture within 2 s"
NOT_LET_IN = "did not let us in, or has no such stream: are user name and password right?"

ELSEWHERE = "the camera redirects again and again"
HEADERS = b"X-More: 1\r\n" * 100
NONSENSE = b"\x00\x01\x02\xff" * 100
HALF = MJPEG + PART + JPEG[: len(JPEG) // 2]
CIRCLE = b"HTTP/1.1 302 Found\r\nLocation: /cam\r\n\r\n"


def bad_cameras(folder: Path) -> dict[str, tuple[Address, str]]:
    """Cameras by what they do: each with what is told about it, or one of two texts with | between them."""
    sound = reply(headers={"Content-Type": "application/sdp"}, body=SOUND)
    unlike = {scheme: reply("401 Unauthorized", {"WWW-Authenticate": asked}) for scheme, asked in ASKED.items()}
    over_http = {scheme: saying(HTTP_401 % asked.encode(), hang_up=True) for scheme, asked in ASKED.items()}
    return {
        "hangs when it is called": (at("rtsp", silent), NO_ANSWER),
        "hangs in TLS": (at("rtsps", silent), NO_TLS),
        "speaks no TLS": (at("rtsps", saying(b"RTSP/1.0 400 No\r\n\r\n", hang_up=True)), NO_TLS),
        "hangs at OPTIONS": (rtsp({"OPTIONS": b""}), NO_ANSWER),
        "hangs at DESCRIBE": (rtsp({"DESCRIBE": b""}), "answers, but not to DESCRIBE: nothing came within 2 s"),
        "hangs within the description": (rtsp({"DESCRIBE": sound[:-20]}), "answers, but not to DESCRIBE"),
        "hangs at SETUP": (rtsp({"SETUP": b""}), "answers, but not to SETUP"),
        "hangs at PLAY": (rtsp({"PLAY": b""}), "answers, but not to PLAY"),
        "plays nothing": (rtsp({}), NO_PICTURE),
        "hangs up at DESCRIBE": (at("rtsp", saying(b"", hang_up=True)), NO_VIDEO),
        "talks nonsense": (at("rtsp", saying(NONSENSE)), "does not speak RTSP properly: control characters"),
        "talks without an end": (at("rtsp", saying(b"RTSP/1.0 200 OK\r\n", then=HEADERS)), "a head without an end"),
        "has sound alone": (rtsp({"DESCRIBE": sound}), "holds no video"),
        "knows another password (basic)": (rtsp({"DESCRIBE": unlike["basic"]}), NOT_LET_IN),
        "knows another password (digest)": (rtsp({"DESCRIBE": unlike["digest"]}), NOT_LET_IN),
        "is elsewhere": (rtsp({"DESCRIBE": reply("302 Moved")}), "redirects to an address that is not RTSP"),
        "has no such stream": (rtsp({"DESCRIBE": reply("404 Not Found")}), "has no stream at this path"),
        "hangs over HTTP": (at("http", silent), "did not answer in time"),
        "hangs in TLS over HTTP": (at("https", silent), NO_TLS),
        "talks nonsense over HTTP": (at("http", saying(NONSENSE, hang_up=True)), NO_HTTP),
        "has headers without an end": (at("http", saying(b"HTTP/1.1 200 OK\r\n", then=HEADERS)), NO_HTTP),
        "has a body without a picture": (at("http", saying(OK, then=bytes(65536))), NO_VIDEO),
        "has parts without a picture": (at("http", saying(MJPEG, then=PART + bytes(len(JPEG)))), "no picture"),
        "knows another password over HTTP (basic)": (at("http", over_http["basic"]), NOT_LET_IN),
        "knows another password over HTTP (digest)": (at("http", over_http["digest"]), NOT_LET_IN),
        "leads in a circle": (at("http", saying(CIRCLE, hang_up=True)), ELSEWHERE),
        "hangs up within a picture": (at("http", saying(HALF, hang_up=True)), NO_PICTURE),
        "sends nothing by UDP": (by_udp("RTP/AVP;unicast;client_port=1-2;server_port=9-10"), NO_PICTURE),
        "does not send by UDP": (by_udp("RTP/AVP/TCP;unicast;interleaved=0-1"), "write rtsp:// instead of rtspu://"),
        "changes its coding": (recoded(folder), "sent no picture for 2 s|ended the stream"),
        "hangs after some pictures": (at("http", saying(MJPEG + (PART + JPEG) * 3)), "sent no picture for 2 s"),
    }


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    async with connected(settings, everything=True) as bus:
        yield bus


async def test_cameras_that_misbehave_are_told_in_words_and_disturb_no_other(bus: Bus, tmp_path: Path) -> None:
    shown: list[tuple[FrameHeader, bytes]] = []

    async def take(msg: Msg) -> None:
        shown.append((FrameHeader.from_headers(msg.headers), msg.data))

    bad = bad_cameras(tmp_path)
    cameras = {f"bad{number}": name for number, name in enumerate(bad)}
    with ExitStack() as stack:
        addresses = {camera: stack.enter_context(bad[name][0]) for camera, name in cameras.items()}
        addresses["good"] = stack.enter_context(http_camera(fps=FPS))
        await bus.client.subscribe(frames(LIVE, spec("good").pool, "shop", "good"), cb=take)
        async with ingesting(bus):
            await configure(bus, "good", addresses["good"])
            await eventually(lambda: number_of(shown))
            for camera in cameras:
                await configure(bus, camera, addresses[camera])
            told = {name: await eventually(partial(complaint, bus, camera)) for camera, name in cameras.items()}
            seen = len(shown)
            await eventually(lambda: number_of(shown[seen + 5 :]))
        # Ingest has ended by here, though no camera hung up: whoever hangs is left alone.

    assert [
        f"{name}: {told[name]}"
        for name, (_, words) in bad.items()
        if not any(one in told[name] for one in words.split("|"))
    ] == []
    assert not any("secret" in one for one in told.values())
    pictures = [int(decode(jpeg)[100, 5, 0]) for header, jpeg in shown if header.end is None]
    assert all(abs(after - before - 1) <= 1 for before, after in itertools.pairwise(pictures))
    assert pictures[-1] - pictures[0] == pytest.approx(len(pictures) - 1, abs=1)
    assert [header.seq for header, _ in shown] == list(range(len(shown)))
    assert len({header.session for header, _ in shown}) == 1


def spec(camera: str) -> CameraSpec:
    return CameraSpec(store="shop", camera=camera, model="motion")


async def configure(bus: Bus, camera: str, address: str) -> None:
    source = Source(camera=camera, address=address, trusted=True)
    await (await bus.bucket(SOURCES)).put(camera, source.model_dump_json().encode())
    await (await bus.bucket(CAMERAS)).put(current_key(camera), spec(camera).model_dump_json().encode())


@asynccontextmanager
async def ingesting(bus: Bus) -> AsyncIterator[None]:
    settings = IngestSettings(open_timeout=TIMEOUT, read_timeout=TIMEOUT)
    working = asyncio.create_task(IngestService(bus, settings).run())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait([working])


async def number_of(shown: Sized) -> int:
    return len(shown)


async def complaint(bus: Bus, camera: str) -> str:
    """The status that ingest reports about a camera; None while it is opening it, or sees something."""
    subject = status(LIVE, "shop", camera, "ingest")
    said = Status.model_validate_json((await bus.js.get_last_msg(STATUS.name, subject)).data or b"")
    return said.message if said.state in (State.RETRYING, State.REFUSED) else ""
