"""Parsed addresses of network cameras."""

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
    """The address of a camera's stream.

    Attributes:
        name: for display, without the login.
        scheme: rtsp, rtspu, rtsps, http or https.
        host: a name in ASCII, or an IP address without brackets.
        port: of TCP.
        login: `user:password@`, as it stands in the address; empty where there is none.
        rest: path and query.
    """

    name: str
    scheme: str
    host: str
    port: int
    login: str
    rest: str

    @classmethod
    def parse(cls, address: str, name: str) -> Location:
        """Parse an address.

        Raises:
            SourceRefused: it is no address of a host; the text says how to write it.
        """
        if unescaped := unescaped_login(address):
            raise SourceRefused(f"{name} {unescaped}", code="address-needs-escaping", source=name, unescaped=unescaped)
        try:
            parts = urlsplit(_quote(address))
            scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        except ValueError:
            # The error would repeat the text in the port's place, which may be a password.
            raise SourceRefused(
                f"{name} is no address: its port must be a number, as in rtsp://10.0.0.5:554/stream",
                code="address-without-port-number",
                source=name,
            ) from None
        if not host:
            raise SourceRefused(
                f"{name} names no host: write it as rtsp://10.0.0.5:554/stream",
                code="address-without-host",
                source=name,
            )
        return cls(name, scheme, _ascii(host), port or _PORTS[scheme], _login(parts), _rest(parts))

    def at(self, scheme: str, host: str, port: int, *, login: str) -> str:
        """The address of the same path at a host, as a URL."""
        return f"{scheme}://{login}{f'[{host}]' if ':' in host else host}:{port}{self.rest}"

    def moved(self, location: str) -> Location:
        """Follow a camera's redirect. The login is kept where the host stays the same.

        Args:
            location: the header of the camera's answer; it may be relative.

        Raises:
            SourceLost: the header is no RTSP address.
        """
        here = f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.rest}"
        try:
            there = urlsplit(urljoin(here, _quote(location)))
            scheme, host, port = there.scheme.lower(), there.hostname, there.port
        except ValueError:
            scheme, host, port = "", None, None
        if scheme not in ("rtsp", "rtspu", "rtsps") or not host or not location:
            raise SourceLost(
                f"{self.name}: the camera redirects to an address that is not RTSP",
                code="redirect-to-no-rtsp",
                source=self.name,
            )
        if self.scheme == "rtspu" and scheme == "rtsp":
            scheme = "rtspu"  # an answer names the server; the transport stays the user's choice
        login = _login(there) or (self.login if host == self.host else "")
        return Location(self.name, scheme, _ascii(host), port or _PORTS[scheme], login, _rest(there))


def _ascii(host: str) -> str:
    """A host's name as DNS spells it (IDNA); unchanged where that is impossible."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _login(parts: SplitResult) -> str:
    """User name and password as they stand in an address, with the @ behind them; empty where there are none."""
    return "".join(parts.netloc.rpartition("@")[:2])


def _rest(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _quote(address: str) -> str:
    """Percent-encode control characters: urlsplit would remove line breaks, and FFmpeg's request would end there."""
    return _UNPRINTABLE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), address)
