"""Connections to cameras: names are resolved, addresses judged, and the very address judged is connected to."""

from __future__ import annotations

import socket
import time
from ipaddress import IPv6Address

from services.ingest.egress.addresses import IPAddress
from services.ingest.egress.policy import Egress
from services.ingest.egress.resolving import UnknownHost, resolve
from services.ingest.sources import SourceError, SourceLost, SourceRefused

MOST_ADDRESSES = 4
"""Of a name that has many, so many are tried."""


class Unreachable(Exception):
    """No connection came about; `lost` is False where trying again is in vain. The text holds host and port alone."""

    def __init__(self, text: str, *, lost: bool = True) -> None:
        super().__init__(text)
        self.lost = lost

    def of(self, name: str) -> SourceError:
        """What to tell about the source of this name."""
        return (SourceLost if self.lost else SourceRefused)(f"{name}: {self}")


def dial(host: str, port: int, egress: Egress, *, timeout: float) -> socket.socket:
    """Connect to a camera.

    Where a name has allowed and forbidden addresses, only the allowed ones are tried. A forbidden one is refused before
    any packet is sent, in the same words whatever is there: nobody learns what listens where they may not look.

    Args:
        host: a name or an address in any notation, without brackets.
        port: of TCP.
        egress: what may be connected to.
        timeout: seconds for all of it.

    Raises:
        Unreachable: it is forbidden, unknown, refuses, or does not answer.
    """
    deadline = time.monotonic() + timeout
    try:
        addresses = resolve(host, timeout)
    except UnknownHost:
        raise Unreachable(f"no machine named {host} is known") from None
    allowed = [address for address in addresses if egress.allows(address, port)]
    if not allowed:
        raise Unreachable(
            f"a camera may not be at {host}: this address belongs to the machine or the network that Metrica itself "
            "runs on, or METRICA_SOURCE_NETWORKS leaves it out",
            lost=False,
        )
    failure: OSError = TimeoutError()
    for address in allowed[:MOST_ADDRESSES]:
        try:
            return _connect(address, port, deadline - time.monotonic())
        except OSError as error:
            failure = error
    raise Unreachable(_explain(failure, host, port, timeout)) from failure


def _connect(address: IPAddress, port: int, timeout: float) -> socket.socket:
    if timeout <= 0:
        raise TimeoutError
    connection = socket.socket(socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET)
    try:
        connection.settimeout(timeout)
        connection.connect((str(address), port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def _explain(error: OSError, host: str, port: int, timeout: float) -> str:
    match error:
        case ConnectionRefusedError():
            return f"connection refused at {host}:{port}; is the camera on, and its port right?"
        case TimeoutError():
            return f"{host}:{port} did not answer within {timeout:g} s"
        case _:
            return f"{host}:{port} cannot be reached ({error.strerror or error})"
