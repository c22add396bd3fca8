"""The rule by which an address may be connected to. It judges addresses, never names: those are resolved before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from services.ingest.egress.resolving import UnknownHost, resolve
from services.ingest.egress.setting import Endpoint
from services.kit.network.ip_addresses import IPAddress, IPNetwork, attached_networks, is_own, is_special, plain
from services.kit.network.source_networks import SourceNetworks

Resolver = Callable[[str, float], tuple[IPAddress, ...]]
_NAMES_KEPT = 10.0
"""Seconds that the addresses of Metrica's own services are remembered: a playlist asks for them with every segment."""
_NAME_TIMEOUT = 2.0


class Egress(Protocol):
    """What a source may connect to."""

    def allows(self, address: IPAddress, port: int) -> bool:
        """Tell whether a connection to this address and port may be made."""
        ...


class Trusted:
    """For what a superadmin or this machine's operator set: everything may be reached."""

    def allows(self, address: IPAddress, port: int) -> bool:  # noqa: ARG002  # as every rule is asked
        """Always."""
        return True


TRUSTED = Trusted()


class Guarded:
    """For what anybody else set: neither this machine, nor Metrica's services, nor where no camera is.

    Args:
        networks: what METRICA_SOURCE_NETWORKS opens, and restricts sources to.
        own_services: Metrica's own, never to be reached, not even where their network is opened.
        closed_network: whether the networks that this machine is a member of are Metrica's alone, as in compose: then
            all of their members, and the host that is their gateway, are refused unless they are opened.
        resolver: of the names in `own_services`.
    """

    def __init__(
        self,
        networks: SourceNetworks | None = None,
        own_services: tuple[Endpoint, ...] = (),
        *,
        closed_network: bool = False,
        resolver: Resolver = resolve,
        own: Callable[[IPAddress], bool] = is_own,
        attached: Callable[[], tuple[IPNetwork, ...]] = attached_networks,
    ) -> None:
        self._networks = networks or SourceNetworks()
        self._own_services = _OwnServices(own_services, resolver, own)
        self._closed_network = closed_network
        self._is_own, self._attached = own, attached

    def allows(self, address: IPAddress, port: int) -> bool:
        """Tell whether a source that is not trusted may connect there."""
        address = plain(address)
        if self._own_services.are_at(address, port):
            return False
        if self._networks.opens(address):
            return True
        if is_special(address) or self._is_own(address) or not self._networks.admits(address):
            return False
        return not (self._closed_network and any(address in network for network in self._attached()))


class _OwnServices:
    """Metrica's own services, by where their names lead now."""

    def __init__(self, endpoints: tuple[Endpoint, ...], resolver: Resolver, own: Callable[[IPAddress], bool]) -> None:
        self._endpoints = endpoints
        self._resolver, self._is_own = resolver, own
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[IPAddress, ...]]] = {}

    def are_at(self, address: IPAddress, port: int) -> bool:
        here: bool | None = None
        for endpoint in self._endpoints:
            if endpoint.port not in (None, port):
                continue
            addresses = self._addresses(endpoint.host)
            if address in addresses:
                return True
            if here is None:
                here = self._is_own(address)
            # A service on this machine may listen on all of its addresses, whichever the setting names.
            if here and any(self._is_own(one) for one in addresses):
                return True
        return False

    def _addresses(self, host: str) -> tuple[IPAddress, ...]:
        now = time.monotonic()
        with self._lock:
            until, addresses = self._known.get(host, (0.0, ()))
        if now >= until:
            with suppress(UnknownHost):  # it is not up; where it was last is still not for others
                addresses = tuple(plain(address) for address in self._resolver(host, _NAME_TIMEOUT))
            with self._lock:
                self._known[host] = (now + _NAMES_KEPT, addresses)
        return addresses
