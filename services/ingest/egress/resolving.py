"""Names to addresses, by the system's resolver and within a time."""

from __future__ import annotations

import queue
import socket
import threading

from services.kit.network.ip_addresses import IPAddress, parse


class UnknownHost(Exception):
    """A name has no address, or nobody answered in time."""


def resolve(host: str, timeout: float) -> tuple[IPAddress, ...]:
    """All addresses of a host, in the order in which they should be tried.

    The system understands every notation here: short, octal, hexadecimal and decimal IPv4, IPv6, names in any script.

    Args:
        host: a name or an address, without brackets.
        timeout: seconds; the resolver has none of its own.

    Raises:
        UnknownHost: there is none.
    """
    found: queue.SimpleQueue[tuple[IPAddress, ...]] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(parse(str(answer[4][0])) for answer in answers))
        except (OSError, ValueError):  # UnicodeError is a ValueError: a label that is too long, say
            addresses = ()
        found.put(addresses)

    threading.Thread(target=look_up, daemon=True, name="resolve").start()
    try:
        addresses = found.get(timeout=max(timeout, 0.0))
    except queue.Empty:
        addresses = ()
    if not addresses:
        raise UnknownHost(host)
    return addresses
