"""HTTP authentication with cameras: Basic, and Digest by RFC 7616."""

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
        """Parse `user:password` from an address, percent-encoded; None where it is empty."""
        user, _, password = text.partition(":")
        return cls(unquote(user), unquote(password)) if text else None


def answer(challenges: Iterable[str], login: Login, method: str, target: str) -> str | None:
    """Answer a camera's challenges.

    Args:
        challenges: values of the headers `WWW-Authenticate`.
        login: its password is sent in the clear where the camera asks for Basic and not for Digest.
        method: of the request.
        target: path and query of the request.

    Returns:
        The header `Authorization`; None where no challenge is of a known kind.
    """
    basic = False
    for challenge in challenges:
        scheme, _, rest = challenge.strip().partition(" ")
        if scheme.lower() == "digest":
            parameters = {name.lower(): value for name, value in parse_keqv_list(_pairs(rest)).items()}
            if (authorization := _digest(parameters, login, method, target)) is not None:
                return authorization
        basic = basic or scheme.lower() == "basic"
    if not basic:
        return None
    return "Basic " + b64encode(f"{login.user}:{login.password}".encode()).decode()


def _pairs(text: str) -> list[str]:
    return [pair for pair in parse_http_list(text) if "=" in pair]


def _digest(challenge: dict[str, str], login: Login, method: str, target: str) -> str | None:
    """Answer a Digest challenge; None where its algorithm is unknown, or a parameter is missing."""
    algorithm = challenge.get("algorithm", "MD5").upper()
    kind, session = _HASHES.get(algorithm.removesuffix("-SESS")), algorithm.endswith("-SESS")
    if kind is None or "realm" not in challenge or "nonce" not in challenge:
        return None

    def digest(text: str) -> str:
        return hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce, client_nonce = challenge["realm"], challenge["nonce"], secrets.token_hex(8)
    secret = digest(f"{login.user}:{realm}:{login.password}")
    if session:
        secret = digest(f"{secret}:{nonce}:{client_nonce}")
    request = digest(f"{method}:{target}")
    quoted_fields = {"username": login.user, "realm": realm, "nonce": nonce, "uri": target}
    plain = {"algorithm": challenge["algorithm"]} if "algorithm" in challenge else {}
    if "auth" in {quality.strip() for quality in challenge.get("qop", "").split(",")}:
        quoted_fields["response"] = digest(f"{secret}:{nonce}:00000001:{client_nonce}:auth:{request}")
        quoted_fields["cnonce"] = client_nonce
        plain |= {"qop": "auth", "nc": "00000001"}
    else:
        quoted_fields["response"] = digest(f"{secret}:{nonce}:{request}")
    if "opaque" in challenge:
        quoted_fields["opaque"] = challenge["opaque"]
    quoted = [f'{name}="{_quoted(value)}"' for name, value in quoted_fields.items()]
    return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in plain.items())])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
