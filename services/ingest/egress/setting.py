"""The setting that names Metrica's own services: METRICA_OWN_SERVICES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


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
