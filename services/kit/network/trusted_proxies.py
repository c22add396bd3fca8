"""METRICA_TRUSTED_PROXIES: the proxies whose word about a client's address is believed.

A trusted proxy appends its client's address to `X-Forwarded-For`. The client is the right-most address there that is no
trusted proxy's: any sender can have written the addresses left of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable, Iterable

from services.kit.network.client_addresses import Address, parse

ANEW, OLD = 1.0, 30.0
"""Seconds. Names are looked up again when the last answer is older than `OLD`, or older than `ANEW` and the address at
hand is not trusted by it."""
LOOK_UP_SECONDS = 3.0
MOST_HOPS = 32

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_NUMBERS = re.compile(r"[0-9.]+")

log = logging.getLogger(__name__)  # settings are read before logs are configured


def _look_up(name: str) -> set[str]:
    return {str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}


class TrustedProxies:
    """The proxies that are trusted.

    Args:
        entries: addresses, networks, and host names, which are looked up again and again.
        look_up: gives a name's addresses.

    Raises:
        ValueError: an entry is none of these, or a network of all addresses.
    """

    def __init__(self, entries: Iterable[str] = (), look_up: Callable[[str], set[str]] = _look_up) -> None:
        self._networks, self._names = [], []
        for entry in entries:
            network = _network(entry)
            if network is not None:
                self._networks.append(network)
            else:
                self._names.append(entry)
        self._look_up = look_up
        self._resolved: set[Address] = set()
        self._resolved_at = -OLD
        self._resolving: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        return bool(self._networks or self._names)

    def trusts(self, text: str) -> bool:
        """Tell whether an address is a trusted proxy's, by the networks and the last look-up of the names."""
        address = parse(text)
        return address is not None and (
            address in self._resolved or any(address in network for network in self._networks)
        )

    async def trusts_now(self, text: str) -> bool:
        """Tell whether an address is a trusted proxy's; looks the names up first where that may change the answer."""
        if self._names:
            age = time.monotonic() - self._resolved_at
            if age >= OLD or (age >= ANEW and not self.trusts(text)):
                await self._refresh()
        return self.trusts(text)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The right-most address that is no trusted proxy's; the last proxy's where an entry cannot be read.

        Args:
            peer: the address that the connection comes from: a trusted proxy's.
            forwarded_for: the `X-Forwarded-For` header.
        """
        client = peer
        for hop in reversed(forwarded_for.split(",")[-MOST_HOPS:]):
            address = parse(_without_port(hop.strip()))
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client

    async def _refresh(self) -> None:
        if self._resolving is None or self._resolving.done():
            self._resolving = asyncio.create_task(self._resolve())
        await asyncio.shield(self._resolving)

    async def _resolve(self) -> None:
        resolved: set[Address] = set()
        for name in self._names:
            try:
                async with asyncio.timeout(LOOK_UP_SECONDS):
                    texts = await asyncio.to_thread(self._look_up, name)
            except (OSError, TimeoutError, UnicodeError) as error:
                log.info("the trusted proxy %s is not found: %s", name, str(error) or repr(error))
                continue
            resolved.update(address for text in texts if (address := parse(text)) is not None)
        self._resolved, self._resolved_at = resolved, time.monotonic()


def read_proxies(text: str) -> TrustedProxies:
    """Parse the setting: addresses, networks and names, with commas or blanks between.

    Raises:
        ValueError: an entry is none of these.
    """
    return TrustedProxies(text.replace(",", " ").split())


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An address or network; None for a name."""
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        if not _NAME.fullmatch(entry) or _NUMBERS.fullmatch(entry):
            raise ValueError(
                f"{entry!r} is no trusted proxy: name its address, its network (10.0.0.0/24) or its host name"
            ) from None
        return None
    if network.prefixlen == 0:
        raise ValueError(f"{entry} is everybody: name the proxy's own address or network")
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:  # ::ffff:0:0/96
        return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
