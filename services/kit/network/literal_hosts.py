"""Hosts of camera addresses that by their spelling lead back to this machine, or to no single one. Pure.

The API refuses them early, with a message for the user who enters the address. The authority is ingest, which checks
the addresses that a name resolves to, and every redirect.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address

from services.kit.network.ip_addresses import plain
from services.kit.network.source_networks import SourceNetworks

Address = IPv4Address | IPv6Address

_AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*:[/\\]*([^/\\?#]*)", re.IGNORECASE | re.ASCII)
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "localhost6", "localhost4")
_LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_NAT64 = int(IPv6Address("64:ff9b::")) >> 32


def refusal(address: str, networks: SourceNetworks = SourceNetworks()) -> str | None:  # noqa: B008  # frozen
    """The reason for which only a superadmin may set a camera address, as part of a sentence; None where all may.

    Args:
        address: with a scheme; `user:password@` before its host does not count.
        networks: the setting METRICA_SOURCE_NETWORKS.
    """
    match = _AUTHORITY.match(unicodedata.normalize("NFKC", address.strip()))
    if match is None:
        return None
    host = host_of(match[1])
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        opened = any(networks.opens(loopback) for loopback in _LOOPBACK)
        return None if opened else "it names this machine itself"
    literal = read_literal(host)
    return None if literal is None or networks.opens(plain(literal)) else unreachable(literal)


def host_of(authority: str) -> str:
    """The host of `user:password@host:port`, in lower case, without brackets, scope and a closing dot."""
    host_and_port = authority.rpartition("@")[2].strip()
    bracketed = host_and_port.startswith("[")
    host = host_and_port[1:].partition("]")[0] if bracketed else host_and_port.partition(":")[0]
    return host.partition("%")[0].rstrip(".").lower()


def read_literal(host: str) -> Address | None:
    """The IP address that a host spells, in any notation that systems accept: 127.1, 0x7f.0.0.1, ::1."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if host and not host.isspace() else None
    except (OSError, UnicodeError, ValueError):
        return None


def unreachable(literal: Address) -> str | None:
    """The reason for which only a superadmin may set a camera at an IP address; None where all may."""
    for address in (literal, *_embedded(literal)):
        if address.is_loopback:
            return "it is this machine itself"
        if address.is_unspecified or (isinstance(address, IPv4Address) and int(address) >> 24 == 0):
            return "it is no machine's address"
        if address.is_link_local:
            return "it is a link-local address"
        if address.is_multicast or address == IPv4Address("255.255.255.255"):
            return "it is no single machine's address"
    return None


def _embedded(literal: Address) -> list[Address]:
    """IPv4 addresses that are embedded in an IPv6 address: mapped, compatible, 6to4, Teredo, NAT64."""
    if not isinstance(literal, IPv6Address):
        return []
    embedded = [literal.ipv4_mapped, literal.sixtofour, *(literal.teredo or ())]
    if int(literal) >> 32 in {0, _NAT64} and int(literal) > 1:
        embedded.append(IPv4Address(int(literal) & 0xFFFFFFFF))
    return [address for address in embedded if address is not None]
