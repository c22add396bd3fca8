"""Name resolution by the system's resolver, with a time-out."""

from __future__ import annotations

import queue
import socket
import threading

from services.kit.network.ip_addresses import IPAddress, parse


class UnknownHost(Exception):
    """A name has no address, or the resolver did not answer in time."""


def resolve(host: str, timeout: float) -> tuple[IPAddress, ...]:
    """Resolve a host to all of its addresses, in the order in which to try them.

    The system understands every notation here: short, octal, hexadecimal and decimal IPv4, IPv6, names in any script.

    Args:
        host: a name or an address, without brackets.
        timeout: seconds; the resolver has none of its own.

    Raises:
        UnknownHost: it has no address, or the time is over.
    """
    results: queue.SimpleQueue[tuple[IPAddress, ...]] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(parse(str(answer[4][0])) for answer in answers))
        except (OSError, ValueError):  # UnicodeError is a ValueError: as for a label that is too long
            addresses = ()
        results.put(addresses)

    threading.Thread(target=look_up, daemon=True, name="resolve").start()
    try:
        addresses = results.get(timeout=max(timeout, 0.0))
    except queue.Empty:
        addresses = ()
    if not addresses:
        raise UnknownHost(host)
    return addresses
