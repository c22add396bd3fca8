"""Only names of this machine are answered, and only this machine looks without signing in (Holds: "DNS rebinding").

In DNS rebinding a page of evil.example asks us by a name that has our address by now: the name gives it away.
"""

from __future__ import annotations

import pytest

from tests.api.seeded import Seed
from tests.api.served import Served
from tests.security.raw import request, send

FOREIGN = (
    "evil.example", "localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example", "127.0.0.1.nip.io",
    "localhost.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.2", "0.0.0.0", "192.168.1.4:8080",
    "[::ffff:127.0.0.1]", "[::]", "[::1%25lo]", "::1", "ip6-localhost", "localhost%00.evil.example", "localhost%2eevil",
    "localhost,evil.example", "localhost evil.example", "evil.example#localhost", "evil.example/localhost",
    "evil.example?localhost", "evil.example@localhost", "localhost\\evil.example", "l\xf6calhost", "", " ", "*",
)  # fmt: skip
OURS = ("localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080")
BROWSER = ("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
"""What a browser sends for an address that somebody typed."""
PATHS = ("/v1/stores", "/", "/docs/", "/openapi.json", "/.well-known/jwks.json", "/nothing")


def port(served: Served) -> int:
    return served.parts.settings.port


@pytest.mark.parametrize("path", PATHS)
async def test_another_name_is_refused(path: str, served: Served) -> None:
    for host in FOREIGN:
        told = await send(port(served), request(path, f"Host: {host}"))
        assert told.status in {0, 400, 421}, (host, told.raw[:300])
    for host in OURS:
        told = await send(port(served), request(path, f"Host: {host}"))
        assert told.status in {200, 401, 404}, (host, told.raw[:300])


async def test_a_name_with_something_before_or_after_it_opens_no_door(served: Served, seed: Seed) -> None:
    """A user or a port that is none: perhaps answered, never as this machine's user, and with nothing of a store's."""
    for host in (
        "localhost:80@evil.example",
        "user@localhost",
        "localhost:evil.example",
        "localhost:",
        "localhost:99999",
    ):
        told = await send(port(served), request("/v1/stores", f"Host: {host}"))
        assert told.status in {0, 400, 401, 421} or host.removesuffix(":99999").removesuffix(":") == "localhost", host


async def test_without_a_name_or_with_two_nothing_is_answered(served: Served) -> None:
    without = b"GET /v1/stores HTTP/1.0\r\n\r\n"
    two = request("/v1/stores", "Host: localhost", "Host: evil.example")
    swapped = request("/v1/stores", "Host: evil.example", "Host: localhost")
    folded = b"GET /v1/stores HTTP/1.1\r\nHost: localhost\r\n evil.example\r\nConnection: close\r\n\r\n"
    for what in (without, two, swapped, folded):
        told = await send(port(served), what)
        assert told.status in {0, 400, 421}, (what, told.raw[:300])


async def test_the_name_in_the_target_and_in_other_headers_is_not_believed(served: Served) -> None:
    absolute = request("http://evil.example/v1/stores", "Host: evil.example")
    assert (await send(port(served), absolute)).status in {0, 400, 421}
    for header in (
        "X-Forwarded-Host: localhost",
        "X-Host: localhost",
        "Forwarded: host=localhost",
        "X-Original-Host: localhost",
    ):
        told = await send(port(served), request("/v1/stores", "Host: evil.example", header))
        assert told.status in {0, 400, 421}, header


async def test_a_refusal_repeats_no_name_and_sends_nobody_anywhere(served: Served) -> None:
    """A page or a redirect made of the name that was asked for would be the asker's to write."""
    for path in ("/docs", "/docs/../docs", "/v1/stores/", "/v1//stores"):
        for host in ("evil.example", "localhost"):
            told = await send(port(served), request(path, f"Host: {host}", "X-Forwarded-Host: evil.example"))
            assert b"evil.example" not in told.raw, (path, host)


async def test_only_what_comes_from_this_machine_looks_without_signing_in(served: Served) -> None:
    """A proxy on this machine passes others' requests on: it says from where."""
    looks = await send(port(served), request("/v1/stores", *BROWSER), silence=10)
    assert looks.status == 200, looks.raw[:300]
    for foreign in ("203.0.113.7", "203.0.113.7, 10.0.0.1", "::ffff:203.0.113.7", "2001:db8::1", "unknown"):
        told = await send(port(served), request("/v1/stores", *BROWSER, f"X-Forwarded-For: {foreign}"))
        assert told.status in {400, 401}, foreign


async def test_whoever_looks_without_signing_in_changes_nothing(served: Served, seed: Seed) -> None:
    for method, path in (("POST", "/v1/stores"), ("PATCH", "/v1/stores/shop"), ("DELETE", "/v1/cameras/door")):
        head = ("Content-Type: application/json", "Content-Length: 2", *BROWSER)
        told = await send(port(served), request(path, *head, method=method, body=b"{}"))
        assert told.status in {401, 403, 422}, (method, path)
