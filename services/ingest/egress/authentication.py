"""Answers to a camera that asks for user name and password over HTTP: Basic, and Digest as of RFC 7616."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote
from urllib.request import parse_http_list, parse_keqv_list

_HASHES = {"MD5": "md5", "SHA-256": "sha256"}


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password."""

    user: str
    password: str

    @classmethod
    def parse(cls, text: str) -> Login | None:
        """Read `user:password` as it stands in an address; None where nothing stands there."""
        user, _, password = text.partition(":")
        return cls(unquote(user), unquote(password)) if text else None


def answer(challenges: Iterable[str], login: Login, method: str, target: str) -> str | None:
    """What to send as `Authorization`; None where the camera asks for what is not known.

    Args:
        challenges: its headers `WWW-Authenticate`.
        login: the password is sent as it is where the camera asks for Basic and not for Digest.
        method: of the request.
        target: path and query of the request.
    """
    basic = False
    for challenge in challenges:
        scheme, _, rest = challenge.strip().partition(" ")
        if scheme.lower() == "digest":
            asked = {name.lower(): value for name, value in parse_keqv_list(_pairs(rest)).items()}
            if (said := _digest(asked, login, method, target)) is not None:
                return said
        basic = basic or scheme.lower() == "basic"
    if not basic:
        return None
    return "Basic " + b64encode(f"{login.user}:{login.password}".encode()).decode()


def _pairs(text: str) -> list[str]:
    return [pair for pair in parse_http_list(text) if "=" in pair]


def _digest(asked: dict[str, str], login: Login, method: str, target: str) -> str | None:
    algorithm = asked.get("algorithm", "MD5").upper()
    kind, session = _HASHES.get(algorithm.removesuffix("-SESS")), algorithm.endswith("-SESS")
    if kind is None or "realm" not in asked or "nonce" not in asked:
        return None

    def digest(text: str) -> str:
        return hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce, mine = asked["realm"], asked["nonce"], secrets.token_hex(8)
    secret = digest(f"{login.user}:{realm}:{login.password}")
    if session:
        secret = digest(f"{secret}:{nonce}:{mine}")
    request = digest(f"{method}:{target}")
    said = {"username": login.user, "realm": realm, "nonce": nonce, "uri": target}
    plain = {"algorithm": asked["algorithm"]} if "algorithm" in asked else {}
    if "auth" in {quality.strip() for quality in asked.get("qop", "").split(",")}:
        said["response"] = digest(f"{secret}:{nonce}:00000001:{mine}:auth:{request}")
        said["cnonce"] = mine
        plain |= {"qop": "auth", "nc": "00000001"}
    else:
        said["response"] = digest(f"{secret}:{nonce}:{request}")
    if "opaque" in asked:
        said["opaque"] = asked["opaque"]
    quoted = [f'{name}="{_quoted(value)}"' for name, value in said.items()]
    return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in plain.items())])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
