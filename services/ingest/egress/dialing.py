"""Dialing of cameras: a name is resolved, its addresses are judged, and the judged address itself is connected to."""

from __future__ import annotations

import socket
import time
from ipaddress import IPv6Address

from services.ingest.egress.policy import Egress
from services.ingest.egress.resolving import UnknownHost, resolve
from services.ingest.egress.tls import encrypt
from services.ingest.source import SourceLost, SourceRefused
from services.kit.network.ip_addresses import IPAddress

MOST_ADDRESSES = 4
"""Most addresses of a name that are tried."""


def dial(name: str, host: str, port: int, egress: Egress, *, secure: bool, timeout: float) -> socket.socket:
    """Connect to a camera.

    Where a name has allowed and forbidden addresses, only the allowed ones are tried. A forbidden address is refused
    before any packet is sent, and with the same message whether a service listens there or not.

    Args:
        name: of the source, for display.
        host: a name or an address in any notation, without brackets.
        port: of TCP.
        egress: the rule for connections.
        secure: true for TLS.
        timeout: seconds for resolving and connecting, and once more for TLS.

    Raises:
        SourceRefused: the address is forbidden.
        SourceLost: it is unknown, refuses, or does not answer.
    """
    deadline = time.monotonic() + timeout
    try:
        addresses = resolve(host, timeout)
    except UnknownHost:
        raise SourceLost(f"no machine named {name} is known", code="unknown-host", source=name) from None
    allowed = [address for address in addresses if egress.allows(address, port)]
    if not allowed:
        raise SourceRefused(
            f"{name}: a camera may not be there. That address belongs to the machine or the network that Metrica "
            "itself runs on, or METRICA_SOURCE_NETWORKS leaves it out",
            code="address-not-allowed",
            source=name,
        )
    failure: OSError = TimeoutError()
    for address in allowed[:MOST_ADDRESSES]:
        try:
            connection = _connect(address, port, deadline - time.monotonic())
        except OSError as error:
            failure = error
        else:
            return _encrypted(name, connection, host, timeout) if secure else connection
    raise SourceLost(_explain(name, failure, timeout), code="not-connected", source=name) from failure


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


def _encrypted(name: str, connection: socket.socket, host: str, timeout: float) -> socket.socket:
    try:
        return encrypt(connection, host, timeout=timeout)
    except OSError as error:
        raise SourceLost(f"{name} does not answer in TLS", code="no-tls", source=name) from error


def _explain(name: str, error: OSError, timeout: float) -> str:
    match error:
        case ConnectionRefusedError():
            return f"connection refused at {name}: is the camera on, and its port right?"
        case TimeoutError():
            return f"{name} did not answer within {timeout:.2g} s"
        case _:
            return f"{name} cannot be reached ({error.strerror})"
