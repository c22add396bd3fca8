"""An RTSP server that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    b"a=rtpmap:96 H264/90000\r\na=control:track1\r\n"
)
Answer = Callable[[str], bytes]


@dataclass
class ScriptedRtsp:
    """A scripted camera: its answers, and the requests that it got.

    Attributes:
        address: `rtsp://…/cam`.
        asked: the first lines of what it was asked, in order.
    """

    address: str
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


def reply(status: str = "200 OK", headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """An answer; CSeq is filled in by the server."""
    lines = [f"RTSP/1.0 {status}", "CSeq: {cseq}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


USUAL = {
    "OPTIONS": reply(headers={"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}),
    "DESCRIBE": reply(headers={"Content-Type": "application/sdp"}, body=SDP),
    "SETUP": reply(headers={"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": "1"}),
    "PLAY": reply(headers={"Session": "1"}),
    "TEARDOWN": reply(headers={"Session": "1"}),
}


@contextmanager
def scripted_rtsp(answers: Mapping[str, bytes], host: str = "127.0.0.1") -> Iterator[ScriptedRtsp]:
    """Serve until the context is left: what is not in `answers` is answered as a camera would."""
    listener = socket.create_server((host, 0))
    said = USUAL | dict(answers)
    shown = ScriptedRtsp(f"rtsp://{host}:{listener.getsockname()[1]}/cam")
    open_now: list[socket.socket] = [listener]

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            while first := lines.readline().decode().strip():
                shown.asked.append(first)
                head = ""
                while (line := lines.readline().decode()).strip():
                    head += line
                shown.heads.append(head)
                cseq = next((line.split(":")[1].strip() for line in head.splitlines() if line.startswith("CSeq")), "0")
                connection.sendall(said[first.split()[0]].replace(b"{cseq}", cseq.encode()))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_now.append(connection)
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        for one in open_now:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        thread.join()
