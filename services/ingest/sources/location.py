"""Addresses of cameras on the network, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from services.ingest.source import SourceLost, SourceRefused
from services.ingest.sources.mistyped import unescaped_login

_PORTS = {"rtsp": 554, "rtspu": 554, "rtsps": 322, "http": 80, "https": 443}
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a camera's stream is, and the login for it; `name` is what people may see of it."""

    name: str
    scheme: str
    host: str
    port: int
    login: str
    rest: str

    @classmethod
    def parse(cls, address: str, name: str) -> Location:
        """Take an address apart.

        Raises:
            SourceRefused: it is none.
        """
        if unescaped := unescaped_login(address):
            raise SourceRefused(f"{name} {unescaped}")
        try:
            parts = urlsplit(_quote(address))
            scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        except ValueError:
            # The error would name what stands where the port should be.
            raise SourceRefused(
                f"{name} is no address: its port must be a number, as in rtsp://10.0.0.5:554/stream"
            ) from None
        if not host:
            raise SourceRefused(f"{name} names no host: write it as rtsp://10.0.0.5:554/stream")
        return cls(name, scheme, _ascii(host), port or _PORTS[scheme], _login(parts), _rest(parts))

    def at(self, scheme: str, host: str, port: int, *, login: str) -> str:
        """The same stream at another host."""
        return f"{scheme}://{login}{f'[{host}]' if ':' in host else host}:{port}{self.rest}"

    def moved(self, location: str) -> Location:
        """Where a camera said that its stream is. It gets the login where the host stays the same.

        Raises:
            SourceLost: that is no RTSP address.
        """
        here = f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.rest}"
        try:
            there = urlsplit(urljoin(here, _quote(location)))
            scheme, host, port = there.scheme.lower(), there.hostname, there.port
        except ValueError:
            scheme, host, port = "", None, None
        if scheme not in ("rtsp", "rtspu", "rtsps") or not host or not location:
            raise SourceLost(f"{self.name}: the camera says that the stream is elsewhere, and not where")
        if self.scheme == "rtspu" and scheme == "rtsp":
            scheme = "rtspu"  # an answer names the server; by which way pictures come is the user's choice
        login = _login(there) or (self.login if host == self.host else "")
        return Location(self.name, scheme, _ascii(host), port or _PORTS[scheme], login, _rest(there))


def _ascii(host: str) -> str:
    """A host's name in the letters of the name system; the one that it was given where that cannot be."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _login(parts: SplitResult) -> str:
    """User name and password as they stand in an address, with the @ behind them; nothing where there are none."""
    return "".join(parts.netloc.rpartition("@")[:2])


def _rest(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _quote(address: str) -> str:
    """An address in one line: urlsplit would leave line breaks out, and FFmpeg's request would end there."""
    return _UNPRINTABLE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), address)
