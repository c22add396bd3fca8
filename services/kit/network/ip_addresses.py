"""Classification of IP addresses: this machine, its link, a cloud's own services, or ordinary ones."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_NEVER_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this machine: Linux connects 0.0.0.0 to loopback
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; where clouds hand out credentials
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata is at 192.0.0.192
        "192.88.99.0/24",  # relays of 6to4
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "100.100.100.200/32",  # Alibaba's metadata, within the range that Tailscale gives to cameras
        "168.63.129.16/32",  # Azure's agent
    )
)
_MAY_6 = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))
_NEVER_6 = (
    IPv6Network("2001::/32"),  # Teredo: leads to an IPv4 address inside
    IPv6Network("2002::/16"),  # 6to4: the same
    IPv6Network("fd00:ec2::/32"),  # Amazon's metadata
    IPv6Network("fd20:ce::/32"),  # Google's
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def plain(address: IPAddress) -> IPAddress:
    """Normalise an address: IPv4 for one that is mapped into IPv6 or reached by NAT64, and no scope."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        if address.scope_id is not None:
            return IPv6Address(int(address))
    return address


def parse(text: str) -> IPAddress:
    """Parse an address of the system's resolver, to connect to; IPv4 where it is mapped into IPv6.

    Raises:
        ValueError: it is no address.
    """
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def is_special(address: IPAddress) -> bool:
    """Tell whether an address is never a camera's: loopback, link-local, multicast, reserved, or a cloud's own."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _NEVER_4)
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP and is_special(IPv4Address(int(address) & 0xFFFF_FFFF)):
        return True
    return not any(address in network for network in _MAY_6) or any(address in network for network in _NEVER_6)


def is_special_network(network: IPNetwork) -> bool:
    """Tell whether no address of a network is ever a camera's."""
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(special) for special in _NEVER_4)
    return is_special(network.network_address) and is_special(network.broadcast_address) and network.prefixlen > 0


def is_own(address: IPAddress) -> bool:
    """Tell whether an address is one of this machine's, on any interface: the system binds no other."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        # Any other error proves nothing: then the address is treated as this machine's, which is the safe side.
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)
    return True


def attached_networks(proc: Path = Path("/proc/net")) -> tuple[IPNetwork, ...]:
    """The networks that this machine is a member of, by Linux's routing tables, without the default route."""
    networks: set[IPNetwork] = set()
    for line in _lines(proc / "route")[1:]:
        interface, destination, gateway, *_, mask = line.split()[:8]
        if interface != "lo" and int(gateway, 16) == 0 and int(mask, 16):
            networks.add(ip_network(f"{_little_endian(destination)}/{_little_endian(mask)}"))
    for line in _lines(proc / "ipv6_route"):
        fields = line.split()
        length, gateway = int(fields[1], 16), fields[4]
        if fields[9] != "lo" and int(gateway, 16) == 0 and length:
            networks.add(IPv6Network((int(fields[0], 16), length)))
    return tuple(sorted(networks, key=str))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # this kernel lacks the protocol, or is no Linux
        return []


def _little_endian(text: str) -> IPv4Address:
    return IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))
