"""A camera's address opens no file, no device and no protocol but a camera's (Holds: "`file://` …", "HLS/DASH/…").

What may be connected to is in `test_camera_addresses.py`; here: what an address may be, and what a hostile camera may
make FFmpeg do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest

from services.ingest.source import SourceError
from services.ingest.sources.opening import open_source
from tests.api.seeded import Seed
from tests.api.served import Served
from tests.support.clips import write_clip

NO_CAMERAS = (
    "file:///etc/passwd", "FILE:///etc/passwd", "file:/etc/passwd", "/etc/passwd", "../x.mp4", "clip.mp4",
    "./0", "0", "1", "/dev/video0", "/dev/mem", "/proc/self/environ", "/proc/self/fd/0", "concat:a.mp4|b.mp4",
    "concat:/etc/passwd", "subfile,,start,0,end,9,,:/etc/passwd", "pipe:0", "pipe:", "fd:0",
    "data:text/plain,x", "lavfi", "lavfi:color", "cache:http://10.0.0.5/x", "crypto:/etc/passwd",
    "async:file:///etc/passwd", "tee:x", "md5:", "unix:/run/x.sock", "ftp://10.0.0.5/x", "sftp://10.0.0.5/x",
    "smb://10.0.0.5/x", "gopher://10.0.0.5/x", "tcp://10.0.0.5:1", "udp://10.0.0.5:1", "tls://10.0.0.5",
    "srt://10.0.0.5", "rtmp://10.0.0.5/x", "rist://10.0.0.5", "ipfs://x", "ffconcat version 1.0",
    "hls+http://10.0.0.5/x", "httpproxy://10.0.0.5", "icecast://10.0.0.5/x", "exec:id", "echo:id", "ffmpeg:x",
    "javascript:x", "sealed:gAAAA", "SEALED:gAAAA", "", " ", "  file:///etc/passwd", "\tfile:///etc/passwd",
    "file:///etc/passwd#rtsp://x", "rtsp//x", "://x", "|id", "`id`", "$(id)", "-i /etc/passwd",
    "http:/etc/passwd", "rtsp:x",
)  # fmt: skip


async def test_a_manager_sets_cameras_of_the_network_and_nothing_else(guarded: Served, seed: Seed) -> None:
    """Files and devices of the machine are a superadmin's; what FFmpeg has besides is nobody's."""
    headers, let_in = seed.headers("manager@acme"), []
    for address in NO_CAMERAS:
        for method, path in (
            ("POST", "/v1/stores/shop/cameras"),
            ("PATCH", "/v1/cameras/door"),
            ("POST", "/v1/stores/shop/cameras/test"),
        ):
            answer = await guarded.client.request(method, path, json={"address": address}, headers=headers)
            if answer.status_code != 422:
                let_in.append(f"{method} {path} {address!r}: {answer.status_code} {answer.text[:150]}")

    assert let_in == []
    assert await guarded.pool.fetchval("SELECT count(*) FROM camera WHERE store = 'shop'") == 1


class Hostile:
    """A camera that answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        """By path: status, content type or, of a redirect, where it leads, and the body."""
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.requestline)
                status, kind, body = outer.answers.get(self.path, (404, "text/plain", b""))
                self.send_response(status)
                self.send_header("Location" if status // 100 == 3 else "Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as camera:
        yield camera


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that lies on this machine: whoever is shown it has read a file."""
    return write_clip(tmp_path_factory.mktemp("secret") / "secret.mp4", 30)


_DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" minBufferTime="PT1S" '
    'mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
    'bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)


def playlists(file: Path) -> dict[str, tuple[str, bytes]]:
    """Playlists and descriptions that name a file of the machine: content type and text, by what they are."""
    m3u8 = "application/vnd.apple.mpegurl"
    head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n"
    uri = f"file://{file}"
    return {
        "a segment": (m3u8, f"{head}#EXTINF:1,\n{uri}\n#EXT-X-ENDLIST\n".encode()),
        "a path": (m3u8, f"{head}#EXTINF:1,\n{file}\n#EXT-X-ENDLIST\n".encode()),
        "a path up": (m3u8, f"{head}#EXTINF:1,\n../../..{file}\n#EXT-X-ENDLIST\n".encode()),
        "concat": (m3u8, f"{head}#EXTINF:1,\nconcat:{file}\n#EXT-X-ENDLIST\n".encode()),
        "subfile": (m3u8, f"{head}#EXTINF:1,\nsubfile,,start,0,end,0,,:{file}\n#EXT-X-ENDLIST\n".encode()),
        "a beginning": (m3u8, f'{head}#EXT-X-MAP:URI="{uri}"\n#EXTINF:1,\n{uri}\n#EXT-X-ENDLIST\n'.encode()),
        "a key": (m3u8, f'{head}#EXT-X-KEY:METHOD=AES-128,URI="{uri}"\n#EXTINF:1,\n/x.ts\n#EXT-X-ENDLIST\n'.encode()),
        "a stream": (m3u8, f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{uri}\n".encode()),
        "ffconcat": ("text/plain", f"ffconcat version 1.0\nfile '{file}'\n".encode()),
        "ffconcat with a scheme": ("text/plain", f"ffconcat version 1.0\nfile '{uri}'\noption safe 0\n".encode()),
        "DASH": (
            "application/dash+xml",
            _DASH.format(uri).encode(),
        ),
        "an entity of XML": (
            "application/dash+xml",
            f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "{uri}">]><MPD><Period>&f;</Period></MPD>'.encode(),
        ),
        "a session description": (
            "application/sdp",
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        ),
        "a text": ("text/plain", b"root:x:0:0:root:/root:/bin/bash\n" * 200),
        "an animation of letters": ("text/plain", b"\x1b[2J\x1b[31mSECRET\r\n" * 500),
        "a sequence of pictures": ("text/plain", f"{file.parent}/%d.mp4".encode()),
    }  # fmt: skip


NAMES = tuple(playlists(Path("/x.mp4")))
ENDINGS = ("stream", "stream.m3u8", "stream.txt?x=.ans")


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_camera_reads_no_file_of_this_machine(name: str, hostile: Hostile, clip: Path) -> None:
    kind, body = playlists(clip)[name]
    for ending in ENDINGS:
        hostile.answers[f"/{ending}"] = (200, kind, body)
        with pytest.raises(SourceError) as refusal:
            open_source(f"{hostile.url}/{ending}", open_timeout=2, read_timeout=2).close()
        assert "SECRET" not in str(refusal.value)
        assert "root:x" not in str(refusal.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_to_no_file(status: int, hostile: Hostile, clip: Path) -> None:
    for target in (f"file://{clip}", f"file:{clip}", str(clip), f"concat:{clip}", f"subfile,,start,0,end,0,,:{clip}"):
        hostile.answers["/stream"] = (status, target, b"")
        with pytest.raises(SourceError):
            open_source(f"{hostile.url}/stream", open_timeout=2, read_timeout=2).close()


def test_no_line_break_of_an_address_is_sent_to_a_camera(hostile: Hostile) -> None:
    """A question stays one request: neither FFmpeg nor our own question, why not, lets a header in."""
    for evil in ("\r\nX-Evil: 1", "%0d%0aX-Evil:%201", "\nX-Evil: 1", " HTTP/1.1\r\nX-Evil: 1\r\n\r\n"):
        with pytest.raises(SourceError):
            open_source(f"{hostile.url}/a{evil}", open_timeout=2, read_timeout=2).close()
    assert all("X-Evil: 1" not in line or "%0" in line.lower() for line in hostile.asked), hostile.asked
    assert all(line.split(" ")[-1].startswith("HTTP/1.") for line in hostile.asked)
