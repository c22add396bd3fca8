"""Redaction of camera addresses for display. Pure.

An address is a secret: manufacturers put passwords into its path and query under hundreds of names. Only parts that are
known to be harmless are displayed; where the host cannot be identified for sure, it is hidden, too.

| reader | function | rtsp://me:secret@10.0.0.5:554/live/ch1?token=secret |
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
"""Name of an address without a host that is known for sure."""

_SCHEMES = frozenset(
    {"rtsp", "rtsps", "rtspu", "rtmp", "rtmps", "http", "https", "srt", "udp", "tcp", "rtp", "ftp", "sim", "file"}
)
_PORTS = frozenset({554, 322, 80, 443, 1935, 5000, 5554, 7447, 8000, 8001, 8008, 8080, 8081, 8443, 8554, 8555, 10554})
"""Usual ports of streams. Any other number of more than three digits may be a part of a password."""

_WORDS = (
    *("stream", "streams", "streaming", "live", "main", "sub", "ch", "channel", "channels", "cam", "camera", "video"),
    *("media", "h264", "h265", "hevc", "mjpeg", "mjpg", "mpeg", "mpeg4", "mp4", "onvif", "profile", "axis", "cgi"),
    *("bin", "av", "preview", "subtype", "streamtype", "type", "realmonitor", "real", "unicast", "multicast", "tcp"),
    *("udp", "primary", "secondary", "default", "low", "high", "sdp", "amp", "isapi", "httppreview", "picture", "snap"),
    *("snapshot", "image", "jpg", "jpeg", "track", "trackid", "play", "webcam", "codec", "videocodec", "m3u8"),
    *("door", "people", "pace", "max", "fps", "seed", "width", "height"),  # of sim://door
)
_LONGEST = 48
# Possessive quantifiers bound the time for any text: some words begin others ("stream", "streaming").
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
    """The parts of an address that are known for sure."""

    scheme: str
    host: str = ""
    port: int | None = None
    tail: str = ""
    """Path and query."""


def redact(address: str) -> str:
    """Return an address as managers may see it: the scheme, the host, and the harmless parts of the rest."""
    known = _parse(address)
    if known is None:
        return _without_scheme(address)
    if not known.host:
        return f"{known.scheme}://{HIDDEN}"
    path, question_mark, query = known.tail.partition("?")
    port = "" if known.port is None else f":{_redact_port(known.port)}"
    base = f"{known.scheme}://{known.host}{port}{_redact_path(path)}"
    return base + (f"?{'&'.join(_redact_pair(pair) for pair in query.split('&'))}" if question_mark else "")


def origin(address: str) -> str:
    """Return an address as viewers may see it: scheme and host."""
    known = _parse(address)
    return _without_scheme(address) if known is None else f"{known.scheme}://{known.host or HIDDEN}"


def host_only(address: str) -> str:
    """Return the name of a source for logs and errors: a host, a file's name, or a simulation's scene."""
    known = _parse(address)
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


def _parse(address: str) -> _Address | None:
    """Parse the parts that are known for sure; None for an address without a scheme, or with an unknown one."""
    match = _SCHEME.fullmatch(address.strip())
    if match is None or (scheme := match[1].lower()) not in _SCHEMES:
        return None
    if scheme == "file":
        return _Address(scheme)
    split = _AUTHORITY.fullmatch(match[2])
    assert split is not None  # it matches every text
    authority, tail = split[1], split[2]
    credentials, at, host_and_port = authority.rpartition("@")
    # A password may contain @ and / itself: with a second @, the beginning of the host is ambiguous.
    if "@" in credentials or _ENCODED_AT.search(unicodedata.normalize("NFKC", host_and_port + tail)):
        return _Address(scheme)
    parts = _HOST_AND_PORT.fullmatch(host_and_port)
    if parts is None or not _is_host(parts[1]):
        return _Address(scheme)
    port = None if parts[2] is None else int(parts[2])
    # user:1234/… without its host looks like a host with a port.
    ambiguous = not at and "." not in parts[1] and ":" not in parts[1] and _redact_port(port) == HIDDEN
    return _Address(scheme) if ambiguous else _Address(scheme, parts[1].lower(), port, tail.partition("#")[0])


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return len(text) <= 253 and _NAME.fullmatch(text) is not None
    try:
        IPv6Address(text[1:-1])
    except AddressValueError:
        return False
    return True


def _redact_port(port: int | None) -> str:
    return HIDDEN if port is not None and port > 999 and port not in _PORTS else str(port)


def _redact_path(path: str) -> str:
    """Keep the harmless segments of a path, with one number at most: several could be parts of a longer one."""
    segments, numbers = [], 0
    for segment in path.split("/"):
        numbers += _NUMBER.fullmatch(segment) is not None
        segments.append(segment if not segment or (_is_harmless(segment) and numbers <= 1) else HIDDEN)
    return "/".join(segments)


def _redact_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not _PLAIN.fullmatch(name) or not _is_harmless(name):
        return HIDDEN if pair else ""
    return f"{name}{equals}{value if not value or _is_harmless(value) else HIDDEN}"


def _is_harmless(text: str) -> bool:
    """Tell if a text consists of usual words of stream addresses and at most three digits."""
    if len(text) > _LONGEST:
        return False
    if _NUMBER.fullmatch(text):
        return True
    digits = sum(letter.isdigit() for letter in _KNOWN_WORD.sub("", text))
    return digits <= 3 and _PLAIN.fullmatch(text) is not None
