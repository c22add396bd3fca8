"""Addresses of clients: the address or network that they are counted under, and whether they are this machine's."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPV6_PREFIX = 64
"""Providers give each customer a network of at least this size, so all addresses of one are counted as one client."""


def parse(text: str) -> Address | None:
    """Parse an address; IPv4 for one that is mapped into IPv6 (`::ffff:192.0.2.1`). None where it is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def network_of(text: str) -> str:
    """The key that an address is counted under: itself, the /64 of an IPv6 address, `127.0.0.1` for loopback ones."""
    address = parse(text)
    if address is None:
        return text[:100]
    if address.is_loopback:
        return "127.0.0.1"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), IPV6_PREFIX), strict=False))


def client_network(scope: Mapping[str, Any]) -> str:
    """The key that the client of a request is counted under. `ForwardedHeaders` must have seen the request before."""
    client = scope.get("client")
    return network_of(client[0]) if client else "unknown"


def is_this_machines(text: str) -> bool:
    """Tell whether an address is a loopback one."""
    address = parse(text)
    return address is not None and address.is_loopback
