"""Suggestions for addresses that cannot be right. They repeat nothing secret of the address (`contracts.address`)."""

from __future__ import annotations

import re
from typing import Final

from contracts.address import UNKNOWN, host_only

_ESCAPES: Final = {"#": "%23", "/": "%2F", "?": "%3F", "@": "%40"}
_KNOWN_SCHEMES: Final = frozenset({"rtmp", "rtmps", "srt", "udp", "tcp", "rtp", "ftp", "sftp", "onvif", "mms", "s3"})
"""Schemes that are repeated to the user; any other may be the beginning of a password."""
_HALF_A_SCHEME: Final = re.compile(r"(rtsps?|https?)(?::/?|/{1,2})(?!/)", re.IGNORECASE)
_IP: Final = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:.]+\]", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.IGNORECASE)
_LOCAL: Final = (
    "local",
    "lan",
    "home",
    "internal",
    "localdomain",
    "localhost",
    "arpa",
    "com",
    "net",
    "org",
    "io",
    "eu",
    "de",
    "fr",
)
"""Last labels of host names; no video file ends in one of them."""


def unknown_scheme(scheme: str) -> str:
    """The message for an address of an unknown scheme: it lists the known kinds of sources."""
    subject = f"{scheme}://" if scheme in _KNOWN_SCHEMES else "what comes before the :// of the source"
    return (
        f"{subject} is no kind of source: give a video file, an rtsp:// or http:// address, "
        "the number of a camera on this machine, or sim://door"
    )


def meant_camera(text: str) -> str:
    """The message for a camera's address that was given without a scheme: it says how to write it.

    Args:
        text: the source as it was given.

    Returns:
        The message; empty where the text does not look like a camera's address.
    """
    rest = _HALF_A_SCHEME.sub("", text, count=1)
    half = rest != text
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, place = authority.rpartition("@")
    host, port = _host_and_port(place)
    if not (half or _is_host(host, port, signed_in=bool(at and ":" in login))):
        return ""
    shown = host_only(f"rtsp://{rest}")
    if shown == UNKNOWN:
        return "the source is no file: a camera's address begins with rtsp://, as in rtsp://user:password@192.168.1.20/stream"
    port_shown = f":{port}" if port and len(port) <= 3 else ""
    sign_in = "user:password@" if at else ""
    return (
        f"{shown} is no file: if it is a camera, write it as rtsp://{sign_in}{shown}{port_shown}/… "
        "with the path that its maker names"
    )


def unescaped_login(address: str) -> str:
    """The message for a login with a character that must be percent-encoded; empty where none must be.

    Such a character ends the host: the text before it would be taken for the camera, and the text behind it for a path.
    """
    rest = address.partition("://")[2]
    end = re.search(r"[/?#]", rest)
    if end is None:
        return ""
    authority, sign, tail = rest[: end.start()], end[0], rest[end.start() + 1 :]
    # A path may hold an @ itself. But no camera has a use for a fragment (#), and a host's port is a number.
    port = authority.rpartition("@")[2].rpartition(":")
    no_port = bool(port[1]) and not port[2].isdecimal() and not authority.endswith("]")
    if "@" not in tail or not ("#" in (sign, *tail.partition("@")[0]) or no_port):
        return ""
    wrong = "#" if "#" in sign + tail.rpartition("@")[0] else sign
    return (
        f"is no address: a user name or a password in it holds {wrong}, which has to be written as {_ESCAPES[wrong]} "
        "(and @ as %40, / as %2F, ? as %3F)"
    )


def _host_and_port(place: str) -> tuple[str, str]:
    host, colon, port = place.rpartition(":")
    return (host, port) if colon and port.isdecimal() and len(port) <= 5 else (place, "")


def _is_host(host: str, port: str, *, signed_in: bool) -> bool:
    if _IP.fullmatch(host):
        return True
    if not _NAME.fullmatch(host):
        return False
    return signed_in or bool(port) or (host != "local" and host.rpartition(".")[2].lower() in _LOCAL)
