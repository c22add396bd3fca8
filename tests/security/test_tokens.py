"""No token that the API did not sign for this use lets anybody in (Holds: "JWT", "refresh reuse").

`tests/api/test_tokens.py` has the same of another issuer's tokens, and the rules of times and claims. Here they are
sent to the running API. What a signature is good for is tried by somebody who has a true token of a viewer's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from services.api.auth.tokens.access_tokens import own_claims
from services.api.auth.tokens.signing_keys import make_key
from tests.api.seeded import KID, PASSWORD, PRIVATE, ROOT, Seed
from tests.api.served import Served
from tests.support.key_server import KeyServer

MY_KID, MY_PRIVATE, MY_PUBLIC = make_key()
Key = str | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256: what a signature's numbers are counted to."""


def coded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def by_hand(header: object, claims: object, signature: bytes = b"") -> str:
    return ".".join(coded(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))


def numbers(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


@pytest.fixture
def elsewhere() -> Iterator[KeyServer]:
    """A server of the attacker's that would serve the attacker's key."""
    with KeyServer() as server:
        server.keys = [MY_PUBLIC]
        yield server


def forged(seed: Seed, url: str) -> Iterator[tuple[str, str]]:
    """Forged tokens, each with its name."""
    claims: dict[str, Any] = own_claims(seed.user(ROOT), seed.sign_in(ROOT), seed.now)
    good = {"alg": "ES256", "kid": KID, "typ": "JWT"}
    public = serialization.load_pem_private_key(PRIVATE.encode(), None).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    for alg in ("none", "None", "NONE", "nOnE", "", None, "es256", "ES256 ", "ES384", "HS256", ["ES256"], 256):
        yield f"alg {alg!r}", by_hand({**good, "alg": alg}, claims)
    for name, secret in (("PEM", pem), ("PEM without its end", pem.rstrip()), ("DER", der), ("nothing", b"")):
        head = by_hand({**good, "alg": "HS256"}, claims).rpartition(".")[0]
        yield (
            f"HS256 with the public key as {name}",
            f"{head}.{coded(hmac.digest(secret, head.encode(), hashlib.sha256))}",
        )
    mine: dict[str, Key] = {
        "ES256": MY_PRIVATE,
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    for alg, key in mine.items():
        yield f"own key of {alg} under the right kid", jwt.encode(claims, key, alg, headers={"kid": KID})
    hints: dict[str, object] = {
        "jwk": MY_PUBLIC,
        "jku": url,
        "x5u": url,
        "x5c": [base64.b64encode(der).decode()],
        "x5t": "AAAA",
        "crit": ["exp"],
        "b64": False,
        "cty": "JWT",
        "zip": "DEF",
    }
    for name, hint in hints.items():
        for kid in (KID, MY_KID):
            yield (
                f"{name} beside kid {kid[:4]}",
                jwt.encode(claims, MY_PRIVATE, "ES256", headers={"kid": kid, name: hint}),
            )
    for kid in (
        "../../../../dev/null", "/etc/passwd", "file:///dev/null", url, f"{KID}\x00", f"{KID} ", KID.lower(),
        "' OR 1=1 --", "x' UNION SELECT 'AAAA", "${jndi:ldap://127.0.0.1/x}", "%00", "*", "", "k" * 100_000,
    ):  # fmt: skip
        yield f"kid {kid[:30]!r}", jwt.encode(claims, MY_PRIVATE, "ES256", headers={"kid": kid})
    for strange in (None, 0, True, [KID], {"kid": KID}):
        yield f"kid {strange!r}", by_hand({**good, "kid": strange}, claims, b"\0" * 64)
    for name, forged in {
        "zeros": numbers(0, 0),
        "r and s of the order": numbers(ORDER, ORDER),
        "r 0": numbers(0, 1),
        "s 0": numbers(1, 0),
        "ones": numbers(1, 1),
        "DER": encode_dss_signature(1, 1),
        "of nothing": b"",
        "too long": b"\1" * 65,
        "far too long": b"\1" * 50_000,
    }.items():
        yield f"signature: {name}", by_hand(good, claims, forged)

    true = seed.token("viewer@acme")
    head, body, signature = true.split(".")
    raised = coded(json.dumps(claims).encode())
    yield "the claims of another under a true signature", f"{head}.{raised}.{signature}"
    yield (
        "the head of another under a true signature",
        f"{coded(json.dumps({**good, 'x': 1}).encode())}.{body}.{signature}",
    )
    for name, text in {
        "four parts": f"{true}.{signature}",
        "five parts (JWE)": f"{head}..{body}.{body}.{signature}",
        "two parts": f"{head}.{body}",
        "a dot before": f".{true}",
        "no signature": f"{head}.{body}.",
        "a broken signature": f"{head}.{body}.{signature[:-6]}AAAAAA",
        "JSON": json.dumps({"protected": head, "payload": body, "signature": signature}),
        "as a list": f"{true},{true}",
        "a blank within": f"{head}. {raised}.{signature}",
    }.items():
        yield name, text
    yield "the sub of another in a signed sign-in", seed.token("viewer@acme", sub=str(seed.user(ROOT)))
    yield "the sign-in of another", seed.token("viewer@acme", sid=str(seed.sign_in(ROOT)))
    otherwise: list[dict[str, object]] = [
        {"iss": "metrica2"},
        {"aud": "metrica2"},
        {"iss": "evil"},
        {"aud": ["x"]},
    ]
    for said in otherwise:
        yield f"said otherwise: {said}", seed.token(ROOT, at=None, **said)
    yield "the far future", seed.token(ROOT, nbf=int(seed.now.timestamp()) + 3600)


async def test_no_forged_token_lets_anybody_in_and_nothing_is_fetched_for_one(
    guarded: Served, seed: Seed, elsewhere: KeyServer
) -> None:
    let_in = []
    for name, token in forged(seed, elsewhere.url):
        for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"metrica_access={token}"}):
            try:
                answer = await guarded.client.get("/v1/auth/me", headers=headers)
            except httpx.TransportError:  # a head that is too long is hung up on
                continue
            if answer.status_code not in {400, 401, 403, 413, 431}:
                let_in.append(f"{name}: {answer.status_code} {answer.text[:200]}")

    assert let_in == []
    assert elsewhere.asked == 0
    assert (await guarded.client.get("/v1/auth/me", headers=seed.headers("viewer@acme"))).status_code == 200


async def test_a_token_counts_where_it_belongs_alone(guarded: Served, seed: Seed) -> None:
    """In a header or a cookie: addresses stand in logs and histories."""
    token = seed.token(ROOT)
    for url in (f"/v1/auth/me?access_token={token}", f"/v1/auth/me?token={token}", f"/v1/auth/me?jwt={token}"):
        assert (await guarded.client.get(url)).status_code == 401
    for headers in (
        {"X-Access-Token": token},
        {"Proxy-Authorization": f"Bearer {token}"},
        {"X-Authorization": f"Bearer {token}"},
        {"Authorization": f"Basic {base64.b64encode(f'x:{token}'.encode()).decode()}"},
        {"Authorization": token},
        {"X-Worker-Key": token},
        {"Cookie": f"metrica_refresh={token}"},
        {"Cookie": f"access_token={token}"},
    ):
        assert (await guarded.client.get("/v1/auth/me", headers=headers)).status_code == 401, headers


async def test_a_token_for_one_use_is_none_for_another(guarded: Served, seed: Seed) -> None:
    said = {"email": "viewer@acme", "password": PASSWORD, "keep": "token"}
    held = (await guarded.client.post("/v1/auth/sign-in", json=said)).json()
    access, refresh = held["access_token"], held["refresh_token"]

    for wrong in (access, seed.keys["acme-reader"], seed.keys["acme-worker"], ""):
        answer = await guarded.client.post("/v1/auth/refresh", json={"refresh_token": wrong})
        assert answer.status_code in {401, 422}, answer.text
    for wrong in (refresh, seed.keys["acme-worker"], f"mk_{refresh}", f"{seed.keys['acme-reader']}x"):
        answer = await guarded.client.get("/v1/auth/me", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401
    answer = await guarded.client.get("/v1/auth/me", headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == 200


async def test_a_token_with_two_meanings_has_none(guarded: Served, seed: Seed) -> None:
    """Two `Authorization` headers, and a wrong one before a good cookie: nobody guesses which one is meant."""
    good, bad = f"Bearer {seed.token('viewer@acme')}", "Bearer x.y.z"
    both = [("Authorization", bad), ("Authorization", good)]
    assert (await guarded.client.get("/v1/auth/me", headers=both)).status_code in {400, 401}
    cookie = {"Cookie": f"metrica_access={seed.token('viewer@acme')}", "Authorization": bad}
    assert (await guarded.client.get("/v1/auth/me", headers=cookie)).status_code == 401


async def test_judging_a_token_of_any_length_takes_no_time(guarded: Served) -> None:
    began = time.monotonic()
    for token in (
        "." * 8_000,
        "a." * 4_000,
        f"{coded(b'[' * 5_000)}.e30.",
        "eyJ" * 2_500,
        f"{coded(b'9' * 5_000)}.x.y",
    ):
        answer = await guarded.client.get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in {400, 401, 431}
    assert time.monotonic() - began < 10
