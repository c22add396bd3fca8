"""Free TCP ports on 127.0.0.1."""

from __future__ import annotations

import errno
import random
import socket
from collections import deque
from pathlib import Path

# Below Linux's ephemeral range (32768 …): while a server is down, no outgoing connection takes its port, so that it can
# restart on it.
_LOWEST, _HIGHEST = 20_000, 32_000
_MAX_RESERVED = 200
_reserved: deque[socket.socket] = deque()


def is_free(port: int) -> bool:
    """Tell if a server can listen on 127.0.0.1:port, and no other one answers on localhost:port.

    Raises:
        OSError: it can't be tried, for example for lack of rights (ports below 1024).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    try:  # for localhost, a browser tries ::1 first
        socket.create_connection(("::1", port), timeout=0.5).close()
    except OSError:
        return True
    return False


def free_port() -> int:
    """Choose a free port, and reserve it while this process lives.

    It is reserved by a socket that is bound and does not listen, so that only a server with SO_REUSEADDR, as all have,
    can listen on it. Otherwise two stacks that start at once would sometimes choose the same port, and so would one.

    Raises:
        OSError: no free port was found.
    """
    chance = random.SystemRandom()
    for _ in range(200):
        port = chance.randint(_LOWEST, _HIGHEST)
        if (reserved := _reserve(port)) is None:
            continue
        if is_free(port):
            _keep(reserved)
            return port
        reserved.close()
    raise OSError(f"no free TCP port was found between {_LOWEST} and {_HIGHEST} on 127.0.0.1")


def _reserve(port: int) -> socket.socket | None:
    """Bind to a port to which no other socket is bound; None if one is."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        return None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after bind, which would ignore other reservations
    return sock


def _keep(reserved: socket.socket) -> None:
    if len(_reserved) == _MAX_RESERVED:
        _reserved.popleft().close()
    _reserved.append(reserved)


def unprivileged_ports() -> int:
    """Return the first port on which an ordinary user may listen."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024
