"""Hosts of camera addresses that lead back to this machine or to no single one, told by their spelling alone. Pure.

The API refuses these early, with words for the person who writes the address. The authority is ingest, which looks at
what a name resolves to, and at every redirect.
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
    """Why only a superadmin may have a camera there; None where the spelling says nothing against it.

    Args:
        address: with a scheme; of `user:password@` only what comes after it counts.
        networks: what METRICA_SOURCE_NETWORKS opens.
    """
    found = _AUTHORITY.match(unicodedata.normalize("NFKC", address.strip()))
    if found is None:
        return None
    host = host_of(found[1])
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        opened = any(networks.opens(loopback) for loopback in _LOOPBACK)
        return None if opened else "it names this machine itself"
    literal = read_literal(host)
    return None if literal is None or networks.opens(plain(literal)) else unreachable(literal)


def host_of(authority: str) -> str:
    """The host of `user:password@host:port`, in lower case, without brackets, scope and a closing dot."""
    place = authority.rpartition("@")[2].strip()
    host = place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
    return host.partition("%")[0].rstrip(".").lower()


def read_literal(host: str) -> Address | None:
    """The IP address that a host spells, in any notation that systems take: 127.1, 0x7f.0.0.1, ::1."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if host and not host.isspace() else None
    except (OSError, UnicodeError, ValueError):
        return None


def unreachable(literal: Address) -> str | None:
    """Why only a superadmin may reach an IP address; None where everybody may."""
    for one in (literal, *_within(literal)):
        if one.is_loopback:
            return "it is this machine itself"
        if one.is_unspecified or (isinstance(one, IPv4Address) and int(one) >> 24 == 0):
            return "it is no machine's address"
        if one.is_link_local:
            return "it is a link-local address"
        if one.is_multicast or one == IPv4Address("255.255.255.255"):
            return "it is no single machine's address"
    return None


def _within(literal: Address) -> list[Address]:
    """IPv4 addresses that an IPv6 address carries: mapped, compatible, 6to4, Teredo, NAT64."""
    if not isinstance(literal, IPv6Address):
        return []
    carried = [literal.ipv4_mapped, literal.sixtofour, *(literal.teredo or ())]
    if int(literal) >> 32 in {0, _NAT64} and int(literal) > 1:
        carried.append(IPv4Address(int(literal) & 0xFFFFFFFF))
    return [one for one in carried if one is not None]
