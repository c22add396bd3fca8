"""Free TCP ports on 127.0.0.1."""

from __future__ import annotations

import errno
import random
import socket
from collections import deque
from pathlib import Path

# Below Linux's ephemeral range (32768 …): a port that is free while its server is down is not taken by an outgoing
# connection, so the server comes back on it.
_LOWEST, _HIGHEST = 20_000, 32_000
_MOST_KEPT = 200
_kept: deque[socket.socket] = deque()


def is_free(port: int) -> bool:
    """Whether a server can listen on 127.0.0.1:port, and nobody else answers to localhost:port.

    Raises:
        OSError: it can't be tried, for example for want of rights (ports below 1024).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    try:  # a browser asks ::1 first for localhost
        socket.create_connection(("::1", port), timeout=0.5).close()
    except OSError:
        return True
    return False


def free_port() -> int:
    """A port that nobody listens on now, and that no other caller is given while this process lives.

    A socket that is bound to it and does not listen keeps it: a server that sets SO_REUSEADDR, as all do, can listen
    there. Two stacks that start at once would otherwise now and then choose the same port, and so would one by itself.

    Raises:
        OSError: none was found.
    """
    chance = random.SystemRandom()
    for _ in range(200):
        port = chance.randint(_LOWEST, _HIGHEST)
        if (kept := _keep(port)) is None:
            continue
        if is_free(port):
            _remember(kept)
            return port
        kept.close()
    raise OSError(f"no free TCP port was found between {_LOWEST} and {_HIGHEST} on 127.0.0.1")


def _keep(port: int) -> socket.socket | None:
    """Bind to a port that nobody is bound to, not even to keep it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        return None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only now: before, it would pass over other keepers
    return sock


def _remember(kept: socket.socket) -> None:
    if len(_kept) == _MOST_KEPT:
        _kept.popleft().close()
    _kept.append(kept)


def unprivileged_ports() -> int:
    """The first port on which an ordinary user may listen."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024
