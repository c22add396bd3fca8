"""Row 1: a camera's address that no superadmin set leads to no text, to nothing of this machine, and to no way there.

The "shop" is 127.0.0.5, opened by METRICA_SOURCE_NETWORKS; the rest of this machine is what must not be reached.
"""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import ThreadingHTTPServer
from ipaddress import ip_address

import pytest
import trustme

from services.ingest.egress import TRUSTED, Guarded, SourceNetworks
from services.ingest.source import SourceError, SourceLost, SourceRefused
from services.ingest.sources.opening import open_source
from tests.support.bombs import encoded
from tests.support.grabbing import frames
from tests.support.rtsp import RtspCamera
from tests.support.scripted_rtsp import USUAL, reply, scripted_rtsp
from tests.support.site import Site, site

SHOP = "127.0.0.5"
GUARDED = Guarded(SourceNetworks.parse(f"+{SHOP}/32"))
NO_CAMERA_THERE = "a camera may not be there"
NO_VIDEO = "sends no video|has no stream|ended the stream|sent no picture"


def look(address: str, egress: Guarded = GUARDED, count: int = 3) -> list[tuple[int, int]]:
    """The sizes of some frames of an address, as ingest reads it for somebody who is no superadmin."""
    with closing(open_source(address, egress=egress, open_timeout=5, read_timeout=2)) as source:
        return [frame.image.shape[:2] for frame in itertools.islice(frames(source, None), count)]


@pytest.fixture
def shop() -> Iterator[Site]:
    with site(SHOP) as shown:
        yield shown


@pytest.fixture
def inside() -> Iterator[Site]:
    """Something of this machine's own, with video and text in it."""
    with site("127.0.0.1") as shown:
        shown.show("/video", paced("mjpeg", "mpjpeg"), "multipart/x-mixed-replace; boundary=ffmpeg")
        shown.show("/openapi.json", json.dumps({"openapi": "3.1"}).encode() * 4000, "application/json")
        yield shown


def endless(piece: bytes, pause: float = 0.05) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        while True:
            yield piece
            time.sleep(pause)

    return pieces


def paced(coding: str, container: str) -> Callable[[], Iterator[bytes]]:
    """A stream of six seconds, sent in three: one that came all at once would be passed over as old."""
    whole = encoded(coding, container, frames=60)
    step = len(whole) // 100 + 1

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(whole), step):
            yield whole[at : at + step]
            time.sleep(0.03)

    return pieces


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_server((host, 0)) as listener:
        listener.setblocking(False)
        yield listener


def nobody_called(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


class TestText:
    """FFmpeg draws text as pictures, if it is let."""

    @pytest.mark.parametrize(
        "path",
        ["/a.txt", "/a.ans", "/a.nfo", "/a.art", "/a.diz", "/stream?x=.txt", "/a.srt", "/a.svg", "/openapi.json"],
    )
    def test_a_text_is_no_video(self, shop: Site, path: str) -> None:
        text = ("what another tenant counts\r\n" * 400).encode()

        with pytest.raises(SourceError, match=NO_VIDEO):
            look(shop.show(path, endless(text), "text/plain"))

    def test_another_tenants_events_are_no_video(self, shop: Site) -> None:
        event = b'data: {"camera":"door","in":3}\n\n' * 50

        with pytest.raises(SourceError, match=NO_VIDEO):
            look(shop.show("/v1/live?x=.txt", endless(event), "text/event-stream"))

    @pytest.mark.parametrize(
        "text",
        [
            b"ffconcat version 1.0\nfile 'http://127.0.0.1:1/'\n",
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\n",
            b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
            b"<svg xmlns='http://www.w3.org/2000/svg' width='99' height='99'/>",
            b"P6 64 64 255\n" + bytes(64 * 64 * 3),
        ],
        ids=["concat", "sdp", "dash", "svg", "picture"],
    )
    def test_what_is_no_cameras_form_is_not_read(self, shop: Site, text: bytes) -> None:
        with pytest.raises(SourceError, match=NO_VIDEO):
            look(shop.show("/cam", text))


NOTATIONS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "0", "0.0.0.0", "[::]", "localhost", "LOCALHOST", "localhost.",
    "127.0.0.1.", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "%31%32%37.0.0.1", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fd00::200:5efe:7f00:1]", "169.254.169.254", "2852039166", "[fe80::1]",
    "[fe80::1%lo]",
    "224.0.0.1", "[ff02::1]", "255.255.255.255", "100.100.100.200", "[fd00:ec2::254]", "127.0.0.1%00.tv",
    "user:pass@127.0.0.1",
    "10.0.0.5\\@127.0.0.1", "127.0.0.1%0d%0a", "127.0.0.1?x=", "127.0.0.1#", socket.gethostname(),
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
@pytest.mark.parametrize("host", NOTATIONS)
def test_this_machine_is_refused_in_every_notation(host: str, scheme: str) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        listener.setblocking(False)
        with pytest.raises(SourceError, match=f"{NO_CAMERA_THERE}|no machine named|cannot be read|is no"):
            look(f"{scheme}://{host}:{listener.getsockname()[1]}/x")
        assert nobody_called(listener)


def own_addresses() -> list[str]:
    found = {str(answer[4][0]) for answer in socket.getaddrinfo(socket.gethostname(), None)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        found.add(probe.getsockname()[0])
    return sorted(one for one in found if not ip_address(one).is_loopback)


def test_this_machines_other_addresses_are_refused_too() -> None:
    for address in own_addresses():
        with listening("0.0.0.0") as listener, pytest.raises(SourceRefused, match=NO_CAMERA_THERE):
            look(f"rtsp://{address}:{listener.getsockname()[1]}/cam")
        assert Guarded(SourceNetworks.parse(f"+{address}")).allows(ip_address(address), 80)


def test_an_open_and_a_closed_port_are_told_in_the_same_words(inside: Site) -> None:
    open_port = int(inside.base.rpartition(":")[2])
    with listening() as listener:
        closed_port = listener.getsockname()[1]
    words = []
    for scheme, port in itertools.product(("http", "rtsp", "https", "rtsps"), (open_port, closed_port)):
        with pytest.raises(SourceRefused) as refused:
            look(f"{scheme}://127.0.0.1:{port}/video")
        words.append(str(refused.value))

    assert len(set(words)) == 1
    assert inside.asked == []


def test_who_is_trusted_reaches_this_machine(inside: Site) -> None:
    with closing(open_source(inside.url("/video"), egress=TRUSTED, open_timeout=5, read_timeout=5)) as source:
        assert source.grab() is not None


class TestRedirect:
    def test_to_this_machine_is_not_followed(self, shop: Site, inside: Site) -> None:
        with pytest.raises(SourceRefused, match=NO_CAMERA_THERE):
            look(shop.redirect("/cam", inside.url("/video")))

        assert inside.asked == []

    def test_chain_is_judged_link_by_link(self, shop: Site, inside: Site) -> None:
        shop.redirect("/c", inside.url("/video"))
        shop.redirect("/b", shop.url("/c"))

        with pytest.raises(SourceRefused, match=NO_CAMERA_THERE):
            look(shop.redirect("/a", shop.url("/b")))
        assert inside.asked == []

    @pytest.mark.parametrize(
        "to", ["file:///etc/passwd", "rtsp://127.0.0.1:1/x", "tcp://127.0.0.1:1", "data:,x", "//127.1:1/", "concat:x"]
    )
    def test_to_another_protocol_is_not_followed(self, shop: Site, to: str) -> None:
        with pytest.raises(SourceError):
            look(shop.redirect("/cam", to))

    def test_within_the_allowed_is_followed(self, shop: Site) -> None:
        video = shop.show("/video", paced("h264", "mpegts"))

        assert look(shop.redirect("/cam", video), count=1) == [(240, 320)]

    def test_without_end_is_given_up(self, shop: Site) -> None:
        with pytest.raises(SourceError):
            look(shop.redirect("/cam", shop.url("/cam")))
        assert len(shop.asked) < 100

    def test_takes_no_way_around_by_a_proxy(self, shop: Site, inside: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

        with pytest.raises(SourceRefused, match=NO_CAMERA_THERE):
            look(shop.redirect("/cam", inside.url("/video")))
        assert inside.asked == []


class TestPlaylist:
    HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:0\n"
    KIND = "application/vnd.apple.mpegurl"

    def show(self, shop: Site, lines: str) -> str:
        return shop.show("/live.m3u8", (self.HEAD + lines).encode(), self.KIND)

    def test_of_a_camera_is_read(self, shop: Site) -> None:
        shop.show("/1.ts", paced("h264", "mpegts"))

        assert look(self.show(shop, "#EXTINF:3,\n1.ts\n#EXT-X-ENDLIST\n"), count=1) == [(240, 320)]

    @pytest.mark.parametrize(
        "lines",
        [
            "#EXTINF:3,\n{inside}/1.ts\n#EXT-X-ENDLIST\n",
            "#EXT-X-STREAM-INF:BANDWIDTH=1\n{inside}/live.m3u8\n",
            '#EXT-X-KEY:METHOD=AES-128,URI="{inside}/key"\n#EXTINF:3,\n1.ts\n#EXT-X-ENDLIST\n',
            '#EXT-X-MAP:URI="{inside}/init.mp4"\n#EXTINF:3,\n1.ts\n#EXT-X-ENDLIST\n',
            (
                '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="{inside}/a.m3u8"\n'
                '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n{shop}/two.m3u8\n'
            ),
            "#EXTINF:3,\nmoved.ts\n#EXT-X-ENDLIST\n",
        ],
        ids=["segment", "variant", "key", "map", "rendition", "segment that moved"],
    )
    def test_leads_to_nothing_of_this_machine(self, shop: Site, inside: Site, lines: str) -> None:
        video = encoded("h264", "mpegts")
        for path in ("/1.ts", "/init.mp4", "/live.m3u8", "/a.m3u8"):
            inside.show(path, video)
        inside.show("/key", b"0" * 16)
        shop.show("/1.ts", video)
        shop.show("/two.m3u8", (self.HEAD + "#EXTINF:3,\n1.ts\n#EXT-X-ENDLIST\n").encode(), self.KIND)
        shop.redirect("/moved.ts", inside.url("/1.ts"))

        with suppress(SourceError):
            look(self.show(shop, lines.format(inside=inside.base, shop=shop.base)))
        assert inside.asked == []

    @pytest.mark.parametrize(
        "entry",
        ["file:///etc/passwd", "/etc/passwd", "data:text/plain,x", "concat:/etc/passwd", "crypto:file:///etc/passwd",
         "subfile,,start,0,end,0,,:/etc/passwd", "tcp://127.0.0.1:{port}", "rtsp://127.0.0.1:{port}/x", "pipe:0",
         "udp://127.0.0.1:{port}", "gopher://127.0.0.1:{port}/x", "ftp://127.0.0.1:{port}/x", "unix:/tmp/x"],
    )  # fmt: skip
    def test_leads_to_no_other_protocol(self, shop: Site, entry: str) -> None:
        with listening() as listener:
            entry = entry.format(port=listener.getsockname()[1])
            for lines in (f"#EXTINF:3,\n{entry}\n#EXT-X-ENDLIST\n", f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{entry}\n"):
                with pytest.raises(SourceError):
                    look(self.show(shop, lines))
            assert nobody_called(listener)

    def test_of_playlists_without_end_is_given_up(self, shop: Site) -> None:
        lines = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH={n}\nlive.m3u8?{n}\n" for n in range(400))
        for number in range(400):
            shop.show(f"/live.m3u8?{number}", (self.HEAD + lines).encode(), self.KIND)

        with pytest.raises(SourceError):
            look(self.show(shop, lines))
        assert len(shop.asked) <= 101


class TestRtspRedirect:
    @pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
    def test_to_this_machine_is_not_followed(self, method: str) -> None:
        with listening() as listener:
            there = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam"
            with scripted_rtsp({method: reply("302 Found", {"Location": there})}, SHOP) as camera:
                with pytest.raises(SourceRefused, match=NO_CAMERA_THERE):
                    look(camera.address)
                assert camera.asked[-1].startswith(method)
            assert nobody_called(listener)

    @pytest.mark.parametrize(
        "location", ["http://127.0.0.1:1/", "file:///etc/passwd", "", "rtsp://", "tcp://127.0.0.1:1"]
    )
    def test_to_what_is_no_camera_is_told(self, location: str) -> None:
        with (
            scripted_rtsp({"DESCRIBE": reply("301 Moved", {"Location": location})}, SHOP) as camera,
            pytest.raises(SourceLost, match="the camera redirects"),
        ):
            look(camera.address)

    def test_to_another_camera_is_followed_without_the_password(self) -> None:
        with scripted_rtsp({"DESCRIBE": reply("404 Not Found")}, "127.0.0.6") as second:
            moved = reply("302 Found", {"Location": second.address})
            with scripted_rtsp({"DESCRIBE": moved}, SHOP) as first:
                address = first.address.replace("rtsp://", "rtsp://admin:secret@")
                with pytest.raises(SourceLost, match="no stream at this path"):
                    look(address, Guarded(SourceNetworks.parse("+127.0.0.5/32,+127.0.0.6/32")))
            assert second.asked
            assert not any("Authorization" in head for head in second.heads)

    def test_in_a_circle_is_given_up(self) -> None:
        with (
            scripted_rtsp({"DESCRIBE": reply("302 Found", {"Location": "/cam"})}, SHOP) as camera,
            pytest.raises(SourceLost, match="again and again"),
        ):
            look(camera.address)

    @pytest.mark.parametrize(
        "answer",
        [
            b"RTSP/1.0 302 Found\nLocation: rtsp://127.0.0.1:{port}/\n\n",
            b"RTSP/1.0  302 Found\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"rtsp/1.0 302 Found\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"RTSP/2.0 302 Found\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"RTSP/1.0 0302 Found\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"RTSP/1.0 200 OK\rRTSP/1.0 302 Found\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\nhello",
            b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nContent-Length: 4000000000\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
            b"REDIRECT * RTSP/1.0\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: rtsp://127.0.0.1:{port}/\r\n\r\n",
            b"\0\0\0\0\r\n\r\n",
        ],
    )
    def test_hidden_in_a_broken_answer_is_not_followed(self, answer: bytes) -> None:
        with listening() as listener:
            port = str(listener.getsockname()[1]).encode()
            with (
                scripted_rtsp({"DESCRIBE": answer.replace(b"{port}", port)}, SHOP) as camera,
                pytest.raises(SourceError),
            ):
                look(camera.address)
            assert nobody_called(listener)

    def test_behind_the_answer_to_play_is_not_followed(self) -> None:
        with listening() as listener:
            hidden = reply("302 Found", {"Location": f"rtsp://127.0.0.1:{listener.getsockname()[1]}/"})
            with (
                scripted_rtsp({"PLAY": USUAL["PLAY"] + hidden}, SHOP) as camera,
                pytest.raises(SourceError, match=NO_VIDEO),
            ):
                look(camera.address)
            assert nobody_called(listener)


class TestNames:
    def test_a_name_that_changes_its_mind_is_held_to_what_was_checked(
        self, shop: Site, inside: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.show("/video", paced("h264", "mpegts"))
        answers = iter([SHOP])
        real = socket.getaddrinfo

        def rebinding(host: str, *args: object, **named: object) -> object:
            return real(next(answers, "127.0.0.1") if host == "camera.example" else host, *args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)

        assert look(f"http://camera.example:{shop.base.rpartition(':')[2]}/video", count=1) == [(240, 320)]
        with pytest.raises(SourceRefused, match=NO_CAMERA_THERE):
            look(f"http://camera.example:{inside.base.rpartition(':')[2]}/video")
        assert inside.asked == []

    def test_of_several_addresses_only_the_allowed_are_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with listening() as listener:
            port = listener.getsockname()[1]
            several = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in ("127.0.0.1", SHOP)]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: several)

            with pytest.raises(SourceLost, match="connection refused"):
                look(f"rtsp://camera.example:{port}/cam")
            assert nobody_called(listener)

    def test_a_resolver_that_hangs_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def hang(*_: object, **__: object) -> list[object]:
            time.sleep(1)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hang)

        with pytest.raises(SourceLost, match="no machine named"):
            open_source("rtsp://camera.example/cam", egress=GUARDED, open_timeout=0.2, read_timeout=1)


class TestRealCameras:
    """Addresses that are not forbidden work: every kind of camera, read by somebody who is no superadmin."""

    def test_rtsp(self) -> None:
        with RtspCamera() as camera:
            assert look(camera.address, Guarded(SourceNetworks.parse("+127.0.0.1"))) == [(240, 320)] * 3

    @pytest.mark.parametrize("method", ["basic", "digest"])
    def test_rtsp_with_a_password(self, method: str) -> None:
        with RtspCamera("--user", "admin", "--password", "se/cret", "--method", method) as camera:
            address = camera.with_login("admin", "se%2Fcret")

            assert look(address, Guarded(SourceNetworks.parse("+127.0.0.1"))) == [(240, 320)] * 3

    @pytest.mark.parametrize("container", ["mpjpeg", "mpegts", "mp4", "matroska", "flv", "avi"])
    def test_http(self, shop: Site, container: str) -> None:
        coding = "mjpeg" if container == "mpjpeg" else "h264"
        kind = "multipart/x-mixed-replace; boundary=ffmpeg" if container == "mpjpeg" else "application/octet-stream"

        assert look(shop.show("/video", paced(coding, container), kind), count=1) == [(240, 320)]

    def test_https_with_a_certificate_of_its_own(self) -> None:
        certificate = trustme.CA().issue_cert(SHOP)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)

        def wrap(server: ThreadingHTTPServer) -> str:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            return "https"

        with site(SHOP, wrap) as camera:
            assert look(camera.show("/video", paced("h264", "mpegts")), count=1) == [(240, 320)]
            with pytest.raises(SourceLost, match="no stream at this path"):
                look(camera.url("/nothing"))
