"""A network between ingest and a camera that sends by UDP, on which packets get lost and overtake each other."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from services.ingest.egress.heads import Wire

_DAY = 86400.0
_CLIENT_PORT = re.compile(r"client_port=(\d+)-\d+")


@contextmanager
def udp_network(address: str, *, swap_every: int = 0, lose_every: int = 0) -> Iterator[str]:
    """Lead one caller to a camera until the context is left; the new address, an `rtspu://…`, is handed over.

    Args:
        address: `rtsp://127.0.0.1:…`.
        swap_every: of so many packets of pictures one arrives behind the next; 0 for none.
        lose_every: of so many packets one does not arrive; 0 for all.
    """
    parts = urlsplit(address)
    listener = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = [listener]

    def lead() -> None:
        with suppress(OSError, EOFError):
            caller, _ = listener.accept()
            camera = socket.create_connection(("127.0.0.1", parts.port or 554))
            opened.extend((caller, camera))
            requests, answers = (Wire(one, time.monotonic() + _DAY) for one in (caller, camera))
            while True:
                request = requests.head()
                if request.start.startswith("SETUP"):
                    asked = _CLIENT_PORT.search(request.get("Transport") or "")
                    assert asked is not None
                    here = _pair()
                    opened.extend(here)
                    threading.Thread(target=_carry, args=(here, int(asked[1]), swap_every, lose_every)).start()
                    number = here[0].getsockname()[1]
                    request = request.replace("Transport", f"RTP/AVP;unicast;client_port={number}-{number + 1}")
                camera.sendall(request.encode() + requests.exactly(request.length))
                answer = answers.head()
                caller.sendall(answer.encode() + answers.exactly(answer.length))

    threading.Thread(target=lead, daemon=True).start()
    try:
        yield parts._replace(scheme="rtspu", netloc=f"127.0.0.1:{listener.getsockname()[1]}").geturl()
    finally:
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    while True:
        first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        first.bind(("127.0.0.1", 0))
        second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            second.bind(("127.0.0.1", first.getsockname()[1] + 1))
        except OSError:
            first.close()
            second.close()
        else:
            return first, second


def _carry(here: tuple[socket.socket, socket.socket], there: int, swap_every: int, lose_every: int) -> None:
    held, count = b"", 0
    with suppress(OSError, ValueError):
        while True:
            ready, _, _ = select.select(here, [], [], 0.2)
            for port in ready:
                packet = port.recv(65535)
                if port is here[1]:
                    port.sendto(packet, ("127.0.0.1", there + 1))
                    continue
                count += 1
                if lose_every and count % lose_every == 0:
                    continue
                if swap_every and count % swap_every == 0 and not held:
                    held = packet
                    continue
                port.sendto(packet, ("127.0.0.1", there))
                if held:
                    port.sendto(held, ("127.0.0.1", there))
                    held = b""
