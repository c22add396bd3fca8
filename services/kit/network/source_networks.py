"""METRICA_SOURCE_NETWORKS: the networks of cameras that others than superadmins may set. Ingest and the API read it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self

from services.kit.network.ip_addresses import IPAddress, IPNetwork, is_special_network


@dataclass(frozen=True, slots=True)
class SourceNetworks:
    """Networks of sources. `+` before a network opens it, even where it is special; one without excludes all others.

    Attributes:
        opened: networks that may be reached although they are this machine's, or otherwise never a camera's.
        only: networks that sources are restricted to; empty is no restriction.
    """

    opened: tuple[IPNetwork, ...] = ()
    only: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10.1.0.0/16, +127.0.0.1/32`.

        Raises:
            ValueError: an entry is no network, or restricts sources to addresses that are refused anyway.
        """
        opened: list[IPNetwork] = []
        only: list[IPNetwork] = []
        for entry in filter(None, (entry.strip() for entry in text.split(","))):
            try:
                network = ip_network(entry.removeprefix("+").strip())
            except ValueError as error:
                raise ValueError(
                    f"METRICA_SOURCE_NETWORKS: {entry} is no network ({error}): write +10.1.0.0/16 to add one, "
                    "10.1.0.0/16 to allow no other"
                ) from error
            if entry.startswith("+"):
                opened.append(network)
            elif is_special_network(network):
                raise ValueError(
                    f"METRICA_SOURCE_NETWORKS: {entry} is refused to sources unless it is opened: write +{entry}"
                )
            else:
                only.append(network)
        return cls(tuple(opened), tuple(only))

    def opens(self, address: IPAddress) -> bool:
        """Tell whether an address is in a network that the setting opens."""
        return any(address in network for network in self.opened)

    def admits(self, address: IPAddress) -> bool:
        """Tell whether an ordinary address is within the networks that sources are restricted to."""
        return not self.only or any(address in network for network in self.only)
