"""Addresses of cameras, as people may see them. Pure.

An address is a secret: makers hide passwords in its path and query under hundreds of names. Nothing of it is shown but
what is known to be harmless; where it cannot be told for sure what is the host, the host is not shown either.

| who | function | rtsp://me:secret@10.0.0.5:554/live/ch1?token=secret |
|---|---|---|
| managers | `redact` | rtsp://10.0.0.5:554/live/ch1?*** |
| viewers | `origin` | rtsp://10.0.0.5 |
| logs, errors, statuses | `host_only` | 10.0.0.5 |
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

HIDDEN = "***"
UNKNOWN = "the source"
"""What an address is called whose host is not known for sure."""

_SCHEMES = frozenset(
    {"rtsp", "rtsps", "rtspu", "rtmp", "rtmps", "http", "https", "srt", "udp", "tcp", "rtp", "ftp", "sim", "file"}
)
_PORTS = frozenset({554, 322, 80, 443, 1935, 5000, 5554, 7447, 8000, 8001, 8008, 8080, 8081, 8443, 8554, 8555, 10554})
"""Ports that streams are at. Another number of more than three digits may be a part of a password."""

_WORDS = (
    *("stream", "streams", "streaming", "live", "main", "sub", "ch", "channel", "channels", "cam", "camera", "video"),
    *("media", "h264", "h265", "hevc", "mjpeg", "mjpg", "mpeg", "mpeg4", "mp4", "onvif", "profile", "axis", "cgi"),
    *("bin", "av", "preview", "subtype", "streamtype", "type", "realmonitor", "real", "unicast", "multicast", "tcp"),
    *("udp", "primary", "secondary", "default", "low", "high", "sdp", "amp", "isapi", "httppreview", "picture", "snap"),
    *("snapshot", "image", "jpg", "jpeg", "track", "trackid", "play", "webcam", "codec", "videocodec", "m3u8"),
    *("door", "people", "pace", "max", "fps", "seed", "width", "height"),  # of sim://door
)
_LONGEST = 48
# Possessive, so that no text takes long: words run into each other ("av" and "stream", "streaming").
_ONE_WORD = "(?:" + "|".join(sorted(_WORDS, key=len, reverse=True)) + ")"
_UNIT = rf"{_ONE_WORD}++[0-9]{{0,3}}+"
_PLAIN = re.compile(rf"{_UNIT}(?:[._-](?:{_UNIT}|[0-9]{{1,3}}+))*+", re.IGNORECASE | re.ASCII)
_KNOWN_WORD = re.compile(_ONE_WORD, re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,3}")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_AUTHORITY = re.compile(r"([^/?#]*)(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.IGNORECASE | re.ASCII)
_ENCODED_AT = re.compile("@|%(?:25)*40")
_DEVICE = re.compile(r"(?:/dev/video)?[0-9]{1,3}")
_FILE_NAME = re.compile(
    r"[\w (),+-][\w (),.+-]{0,100}\.(?:mp4|m4v|mov|mkv|avi|webm|ts|mpg|mpeg|wmv|flv|3gp|h264|h265|264|265|mjpeg|mjpg)",
    re.IGNORECASE,
)
_NO_FILE = re.compile(r"[@:?&=;%#\\]")


@dataclass(frozen=True, slots=True)
class _Address:
    """What is surely known of an address."""

    scheme: str
    host: str = ""
    port: int | None = None
    tail: str = ""
    """Path and query."""


def redact(address: str) -> str:
    """An address as managers may see it: scheme, host and what is known to be harmless of the rest."""
    known = _read(address)
    if known is None:
        return _without_scheme(address)
    if not known.host:
        return f"{known.scheme}://{HIDDEN}"
    path, asks, query = known.tail.partition("?")
    port = "" if known.port is None else f":{_shown_port(known.port)}"
    shown = f"{known.scheme}://{known.host}{port}{_path(path)}"
    return shown + (f"?{'&'.join(_pair(pair) for pair in query.split('&'))}" if asks else "")


def origin(address: str) -> str:
    """An address as viewers may see it: scheme and host."""
    known = _read(address)
    return _without_scheme(address) if known is None else f"{known.scheme}://{known.host or HIDDEN}"


def host_only(address: str) -> str:
    """What logs and errors call a source: its host; of a file its name, of a simulation its scene."""
    known = _read(address)
    text = address.strip()
    if known is None or known.scheme == "file":
        return text if _DEVICE.fullmatch(text) else _file_name(text)
    if known.scheme == "sim" and known.host:
        return f"sim://{known.host}"
    return known.host or UNKNOWN


def _without_scheme(address: str) -> str:
    text = address.strip()
    if _DEVICE.fullmatch(text):
        return text
    return f"file://{HIDDEN}" if text.startswith("/") and not _NO_FILE.search(text) else HIDDEN


def _file_name(text: str) -> str:
    path = text[len("file://") :] if text[:7].lower() == "file://" else text
    name = path.rstrip("/").rpartition("/")[2]
    return name if _FILE_NAME.fullmatch(name) and not _NO_FILE.search(path) else UNKNOWN


def _read(address: str) -> _Address | None:
    """What is surely known; None of what has no scheme, or one that nobody knows."""
    found = _SCHEME.fullmatch(address.strip())
    if found is None or (scheme := found[1].lower()) not in _SCHEMES:
        return None
    if scheme == "file":
        return _Address(scheme)
    split = _AUTHORITY.fullmatch(found[2])
    assert split is not None  # it matches every text
    authority, tail = split[1], split[2]
    signed_in, at, named = authority.rpartition("@")
    # A password may hold @ and / itself: with another @, nobody knows where the host begins.
    if "@" in signed_in or _ENCODED_AT.search(unicodedata.normalize("NFKC", named + tail)):
        return _Address(scheme)
    place = _HOST_AND_PORT.fullmatch(named)
    if place is None or not _is_host(place[1]):
        return _Address(scheme)
    port = None if place[2] is None else int(place[2])
    # user:1234/… with the rest forgotten looks like a host with its port.
    unsure = not at and "." not in place[1] and ":" not in place[1] and _shown_port(port) == HIDDEN
    return _Address(scheme) if unsure else _Address(scheme, place[1].lower(), port, tail.partition("#")[0])


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return len(text) <= 253 and _NAME.fullmatch(text) is not None
    try:
        IPv6Address(text[1:-1])
    except AddressValueError:
        return False
    return True


def _shown_port(port: int | None) -> str:
    return HIDDEN if port is not None and port > 999 and port not in _PORTS else str(port)


def _path(path: str) -> str:
    """The harmless segments of a path; of those that are numbers one, since several could make a longer one."""
    shown, numbers = [], 0
    for segment in path.split("/"):
        numbers += _NUMBER.fullmatch(segment) is not None
        shown.append(segment if not segment or (_is_harmless(segment) and numbers <= 1) else HIDDEN)
    return "/".join(shown)


def _pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not _PLAIN.fullmatch(name) or not _is_harmless(name):
        return HIDDEN if pair else ""
    return f"{name}{equals}{value if not value or _is_harmless(value) else HIDDEN}"


def _is_harmless(text: str) -> bool:
    """Whether a text is a number of at most three digits, or made of words of streams, and at most three digits."""
    if len(text) > _LONGEST:
        return False
    if _NUMBER.fullmatch(text):
        return True
    digits = sum(letter.isdigit() for letter in _KNOWN_WORD.sub("", text))
    return digits <= 3 and _PLAIN.fullmatch(text) is not None
