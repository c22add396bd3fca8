"""The rules for connections to sources. They judge IP addresses; names are resolved before."""

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
"""Seconds that the addresses of Metrica's own services are cached: every segment of a playlist needs them."""
_NAME_TIMEOUT = 2.0


class Egress(Protocol):
    """A rule for the connections of a source."""

    def allows(self, address: IPAddress, port: int) -> bool:
        """Tell whether a connection to this address and port may be made."""
        ...


class Trusted:
    """The rule for sources that a superadmin or the machine's operator set: everything is allowed."""

    def allows(self, address: IPAddress, port: int) -> bool:  # noqa: ARG002  # the protocol's
        """Always true."""
        return True


TRUSTED = Trusted()


class Guarded:
    """The rule for all other sources: it forbids this machine, Metrica's services, and special networks.

    Args:
        networks: the networks that METRICA_SOURCE_NETWORKS opens, and those that it restricts sources to.
        own_services: Metrica's own services, which are forbidden even where their network is opened.
        closed_network: true where this machine's networks are Metrica's alone, as in compose: all of their members, and
            their gateway, are then forbidden unless they are opened.
        resolver: resolves the names in `own_services` within a time in seconds.
        own: tells whether an address is this machine's.
        attached: lists the networks that this machine is a member of.
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
        """Tell whether a source that is not trusted may connect to this address and port."""
        address = plain(address)
        if self._own_services.are_at(address, port):
            return False
        if self._networks.opens(address):
            return True
        if is_special(address) or self._is_own(address) or not self._networks.admits(address):
            return False
        return not (self._closed_network and any(address in network for network in self._attached()))


class _OwnServices:
    """Metrica's own services, by the present addresses of their names."""

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
            # A service on this machine may listen on all of its addresses, and not only on the one in the setting.
            if here and any(self._is_own(known) for known in addresses):
                return True
        return False

    def _addresses(self, host: str) -> tuple[IPAddress, ...]:
        now = time.monotonic()
        with self._lock:
            until, addresses = self._known.get(host, (0.0, ()))
        if now >= until:
            with suppress(UnknownHost):  # the service is down: its last addresses stay forbidden
                addresses = tuple(plain(address) for address in self._resolver(host, _NAME_TIMEOUT))
            with self._lock:
                self._known[host] = (now + _NAMES_KEPT, addresses)
        return addresses
