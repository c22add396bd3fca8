"""What may have been meant by an address that cannot be right. Nothing secret of it is told (`contracts.address`)."""

from __future__ import annotations

import re
from typing import Final

from contracts.address import UNKNOWN, host_only

_ESCAPES: Final = {"#": "%23", "/": "%2F", "?": "%3F", "@": "%40"}
_KNOWN_SCHEMES: Final = frozenset({"rtmp", "rtmps", "srt", "udp", "tcp", "rtp", "ftp", "sftp", "onvif", "mms", "s3"})
"""A scheme that is none of these may be the beginning of a password."""
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
"""Ends of the names of cameras, which no file has."""


def unknown_scheme(scheme: str) -> str:
    """Refuse what comes before `://`, in words."""
    what = f"{scheme}://" if scheme in _KNOWN_SCHEMES else "what comes before the :// of the source"
    return (
        f"{what} is no kind of source: give a video file, an rtsp:// or http:// address, "
        "the number of a camera on this machine, or sim://door"
    )


def meant_camera(text: str) -> str:
    """Say how to write the address of a camera that was given as if it was a file; empty where it is none."""
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
    """Say which sign of a user name or a password has to be written otherwise; empty where none has to.

    Such a sign ends the host: what stands before it would be taken for the camera, and what follows for a path.
    """
    rest = address.partition("://")[2]
    found = re.search(r"[/?#]", rest)
    if found is None:
        return ""
    authority, sign, tail = rest[: found.start()], found[0], rest[found.start() + 1 :]
    # A path may hold an @ itself. Behind a # nothing is of use to a camera; and a host has a number for its port.
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
