"""Parser of the setting METRICA_OWN_SERVICES: the names of Metrica's own services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of Metrica's own services.

    Attributes:
        host: a name or an address.
        port: of TCP; None for all ports.
    """

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `nats`, `10.0.0.2:4222`, `[fd00::2]:5432`, or a URL.

        Raises:
            ValueError: it has no host, or the port is no number.
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
    """Parse a list of endpoints, separated by commas.

    Raises:
        ValueError: an entry is no endpoint.
    """
    return tuple(Endpoint.parse(entry.strip()) for entry in text.split(",") if entry.strip())
