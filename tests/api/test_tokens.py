"""The tokens that are believed. The issuer's keys come from a real server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from services.api.auth.tokens.access_tokens import LEEWAY, Issuer, Verifier
from services.api.auth.tokens.jwks import FRESH_SECONDS, PAUSE_SECONDS, RemoteKeys
from services.api.auth.tokens.signing_keys import make_key
from services.api.http.problems import Unauthorized, Unavailable
from tests.api.served import FakeClock
from tests.support.key_server import KeyServer

ISSUER, AUDIENCE = "https://id.example", "metrica-api"
KID, PRIVATE, PUBLIC = make_key()
OTHER_KID, OTHER_PRIVATE, OTHER_PUBLIC = make_key()
MINUTE = timedelta(minutes=1)


class Seconds:
    """A monotonic clock that the test winds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def issuer() -> Iterator[KeyServer]:
    with KeyServer() as server:
        server.keys = [PUBLIC]
        yield server


@pytest.fixture
def verifier(issuer: KeyServer, clock: FakeClock, seconds: Seconds) -> Verifier:
    return Verifier([Issuer(ISSUER, AUDIENCE, RemoteKeys(issuer.url, seconds))], clock)


def claims(now: datetime, **said: object) -> dict[str, Any]:
    times = {"iat": now.timestamp(), "exp": (now + 5 * MINUTE).timestamp()}
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "mara", **times, **said}


def token(now: datetime, *, key: str = PRIVATE, kid: str = KID, algorithm: str = "ES256", **said: object) -> str:
    return jwt.encode(claims(now, **said), key, algorithm, headers={"kid": kid})


def by_hand(header: dict[str, object], said: dict[str, object], signature: bytes = b"") -> str:
    """A token that no library would make."""
    parts = [json.dumps(header).encode(), json.dumps(said).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_a_good_token_is_believed(verifier: Verifier, clock: FakeClock) -> None:
    said = await verifier.verify(token(clock()))

    assert (said.issuer, said.subject, said.email) == (ISSUER, "mara", None)


async def test_an_address_is_believed_where_the_issuer_made_sure_of_it(verifier: Verifier, clock: FakeClock) -> None:
    sure = await verifier.verify(token(clock(), email="Mara@shop.example", email_verified=True))
    unsure = [
        await verifier.verify(token(clock(), email="mara@shop.example", email_verified=said))
        for said in (False, "true", 1, None)
    ]

    assert sure.email == "mara@shop.example"
    assert [one.email for one in unsure] == [None] * 4


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"iss": "https://evil.example"}, "an issuer that is not believed"),
        ({"iss": ["https://id.example"]}, "an issuer that is not believed"),
        ({"aud": "another-api"}, "Audience"),
        ({"aud": None}, "aud"),
        ({"sub": None}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": 1e300}, "out of all range"),
        ({"exp": float("inf")}, "not valid"),
        ({"nbf": "later"}, "not valid"),
    ],
    ids=str,
)
async def test_what_a_token_must_say(
    verifier: Verifier, clock: FakeClock, said: dict[str, object], problem: str
) -> None:
    left = {name: value for name, value in claims(clock(), **said).items() if value is not None}
    bad = (
        jwt.encode(left, PRIVATE, "ES256", headers={"kid": KID})
        if "iss" not in said
        else by_hand({"alg": "ES256", "kid": KID}, left)
    )

    with pytest.raises(Unauthorized, match=problem):
        await verifier.verify(bad)


async def test_times_are_judged_by_our_clock_with_a_little_leeway(verifier: Verifier, clock: FakeClock) -> None:
    made = clock()
    good = token(made, nbf=(made + MINUTE).timestamp())

    for late, problem in (
        (timedelta(0), "not valid yet"),
        (MINUTE - LEEWAY, None),
        (5 * MINUTE + LEEWAY - timedelta(seconds=1), None),
        (5 * MINUTE + LEEWAY, "has expired"),
        (timedelta(days=400), "has expired"),
    ):
        clock.now = made + late
        if problem is None:
            await verifier.verify(good)
        else:
            with pytest.raises(Unauthorized, match=problem):
                await verifier.verify(good)


async def test_no_algorithm_but_one_is_believed(verifier: Verifier, clock: FakeClock, issuer: KeyServer) -> None:
    said = claims(clock())
    private = serialization.load_pem_private_key(PRIVATE.encode(), None)
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    # What jwt refuses to make: the public key, which everybody has, taken for the secret of HS256.
    unsigned = by_hand({"alg": "HS256", "kid": KID}, said).rpartition(".")[0]
    signature = hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()
    confused = unsigned + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    rsa_key = rsa.generate_private_key(65537, 2048)
    issuer.keys = [PUBLIC, {**RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True), "kid": "rsa"}]
    of_rsa = jwt.encode(said, rsa_key, "RS256", headers={"kid": "rsa"})
    says_another = by_hand({"alg": "ES256", "kid": "rsa"}, said, b"x" * 64)

    for bad in (
        by_hand({"alg": "none", "kid": KID}, said),
        by_hand({"alg": "None", "kid": KID}, said),
        by_hand({"kid": KID}, said),
        confused,
        of_rsa,
        says_another,
    ):
        with pytest.raises(Unauthorized):
            await verifier.verify(bad)


async def test_a_signature_must_be_of_the_key_that_is_named(verifier: Verifier, clock: FakeClock) -> None:
    good = token(clock())
    head, body, signature = good.split(".")

    for bad in (
        token(clock(), key=OTHER_PRIVATE),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        by_hand({"alg": "ES256", "kid": KID}, {**claims(clock()), "sub": "root"}, b"\0" * 64),
        by_hand({"alg": "ES256"}, claims(clock())),
        by_hand({"alg": "ES256", "kid": 7}, claims(clock())),
        "not.a.token",
        "",
        "a" * 5000,
    ):
        with pytest.raises(Unauthorized):
            await verifier.verify(bad)


async def test_a_key_in_the_token_itself_is_not_believed(verifier: Verifier, clock: FakeClock) -> None:
    headers = {"kid": "mine", "jwk": OTHER_PUBLIC, "jku": "http://evil.example/keys"}
    forged = jwt.encode(claims(clock()), OTHER_PRIVATE, "ES256", headers=headers)

    with pytest.raises(Unauthorized, match=r"a key that https://id\.example does not have"):
        await verifier.verify(forged)


async def test_the_issuer_is_asked_once_for_many_tokens(
    verifier: Verifier, clock: FakeClock, issuer: KeyServer
) -> None:
    for _ in range(20):
        await verifier.verify(token(clock()))

    assert issuer.asked == 1


async def test_a_new_key_is_found_when_the_first_token_of_it_comes(
    verifier: Verifier, clock: FakeClock, issuer: KeyServer, seconds: Seconds
) -> None:
    await verifier.verify(token(clock()))
    issuer.keys = [OTHER_PUBLIC, PUBLIC]
    seconds.now += PAUSE_SECONDS

    await verifier.verify(token(clock(), key=OTHER_PRIVATE, kid=OTHER_KID))

    assert issuer.asked == 2


async def test_invented_keys_do_not_make_us_flood_the_issuer(
    verifier: Verifier, clock: FakeClock, issuer: KeyServer, seconds: Seconds
) -> None:
    for n in range(50):
        with pytest.raises(Unauthorized):
            await verifier.verify(token(clock(), kid=f"invented-{n}"))
        seconds.now += PAUSE_SECONDS / 25

    assert issuer.asked <= 3


async def test_a_key_that_the_issuer_takes_back_is_believed_no_longer(
    verifier: Verifier, clock: FakeClock, issuer: KeyServer, seconds: Seconds
) -> None:
    good = token(clock())
    await verifier.verify(good)
    issuer.keys = [OTHER_PUBLIC]
    seconds.now += FRESH_SECONDS + 1

    with pytest.raises(Unauthorized):
        await verifier.verify(good)


async def test_an_issuer_that_is_away_stops_nobody_whose_key_is_known(
    verifier: Verifier, clock: FakeClock, issuer: KeyServer, seconds: Seconds
) -> None:
    await verifier.verify(token(clock()))
    issuer.status = 500
    seconds.now += FRESH_SECONDS + 1

    await verifier.verify(token(clock()))
    assert issuer.asked == 2


async def test_without_any_keys_it_says_that_it_cannot_judge(
    verifier: Verifier, clock: FakeClock, issuer: KeyServer, seconds: Seconds
) -> None:
    issuer.status = 500
    with pytest.raises(Unavailable, match="cannot be had"):
        await verifier.verify(token(clock()))

    issuer.status = 200
    seconds.now += PAUSE_SECONDS
    await verifier.verify(token(clock()))


async def test_what_else_an_issuer_has_is_passed_over(verifier: Verifier, clock: FakeClock, issuer: KeyServer) -> None:
    bad: list[Any] = [{"kty": "OKP"}, {"kty": "EC", "crv": "P-256", "kid": "bad", "x": "!", "y": ""}, 7]
    issuer.keys = [*bad, PUBLIC]

    await verifier.verify(token(clock()))
