"""The settings that say where cameras may be: METRICA_SOURCE_NETWORKS and METRICA_OWN_SERVICES."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self
from urllib.parse import urlsplit

from services.ingest.egress.addresses import IPAddress, IPNetwork, is_special_network


@dataclass(frozen=True, slots=True)
class SourceNetworks:
    """Where sources may be. `+` before a network opens it, whatever is there; one without excludes all others.

    Attributes:
        opened: may be reached though it is this machine, or otherwise never a camera's.
        only: where not empty, nothing else may be reached.
    """

    opened: tuple[IPNetwork, ...] = ()
    only: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10.1.0.0/16, +127.0.0.1/32`.

        Raises:
            ValueError: an entry is no network, or restricts to what is refused anyway; the text names it.
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
        """Whether the setting names the address as one to reach whatever it is."""
        return any(address in network for network in self.opened)

    def admits(self, address: IPAddress) -> bool:
        """Whether an ordinary address is within what sources are restricted to."""
        return not self.only or any(address in network for network in self.only)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service of Metrica's own, by name or address; without a port, all of its ports."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `nats`, `10.0.0.2:4222`, `[fd00::2]:5432` or an address with a scheme before it.

        Raises:
            ValueError: there is no host in it, or the port is no number.
        """
        try:
            parts = urlsplit(text if "://" in text else f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"METRICA_OWN_SERVICES: {text} is neither a host nor host:port ({error})") from error
        if not host:
            raise ValueError(f"METRICA_OWN_SERVICES: {text} names no host: write nats or 10.0.0.2:4222")
        return cls(host, port)


def parse_endpoints(text: str) -> tuple[Endpoint, ...]:
    """Read a list of endpoints with commas between them.

    Raises:
        ValueError: an entry cannot be read.
    """
    return tuple(Endpoint.parse(entry.strip()) for entry in text.split(",") if entry.strip())
