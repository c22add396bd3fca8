"""Rows 8 and 12: who asks is told by the connection, and by proxies that are named; by nobody else."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from services.api.auth.limits.attempts import PER_ADDRESS
from services.kit.network.client_addresses import network_of
from services.kit.network.trusted_proxies import ANEW, TrustedProxies, read_proxies
from services.kit.settings import ServiceSettings
from tests.api.seeded import PASSWORD, Seed
from tests.api.served import FakeClock, replica
from tests.security.http_server import Site, site

HERE = {"Sec-Fetch-Site": "same-origin"}


async def seen(one: Site, headers: str) -> tuple[str, str]:
    """The client that the application sees, and the scheme by which it was asked."""
    await one.get(headers=headers)
    scope = one.scopes[-1]
    return scope["client"][0], scope["scheme"]


FORGED = [
    "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n",
    "Forwarded: for=9.9.9.9;proto=https\r\n",
    "X-Real-IP: 9.9.9.9\r\nX-Forwarded-Scheme: https\r\nX-Forwarded-Ssl: on\r\nFront-End-Https: on\r\n",
    "True-Client-IP: 9.9.9.9\r\nCF-Connecting-IP: 9.9.9.9\r\nX-Client-IP: 9.9.9.9\r\n",
]


class TestNobodyIsBelieved:
    @pytest.mark.parametrize("headers", FORGED)
    async def test_unless_it_is_named(self, headers: str) -> None:
        async with site() as one:
            assert await seen(one, headers) == ("127.0.0.1", "http"), "not even on this machine"

    @pytest.mark.parametrize("headers", FORGED)
    async def test_whose_address_is_another_one(self, headers: str) -> None:
        async with site(trusted_proxies="127.0.0.2, 10.0.0.0/8") as one:
            assert await seen(one, headers) == ("127.0.0.1", "http")

    @pytest.mark.parametrize("headers", FORGED[1:])
    async def test_in_headers_that_a_proxy_may_pass_on_unread(self, headers: str) -> None:
        async with site(trusted_proxies="127.0.0.1") as one:
            assert await seen(one, headers) == ("127.0.0.1", "http")


class TestATrustedProxy:
    @pytest.mark.parametrize(
        ("told", "client"),
        [
            ("9.9.9.9", "9.9.9.9"),
            ("9.9.9.9:1234", "9.9.9.9"),
            ("6.6.6.6, 9.9.9.9", "9.9.9.9"),  # what stands left of it, anybody wrote
            ("6.6.6.6, 9.9.9.9, 10.0.0.1", "9.9.9.9"),  # a second proxy that is trusted
            ("6.6.6.6, 9.9.9.9, 11.0.0.1", "11.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:9.9.9.9", "9.9.9.9"),
            ("nonsense", "127.0.0.1"),
            ("9.9.9.9, nonsense", "127.0.0.1"),
            ("9.9.9.9, unknown, 10.0.0.1", "10.0.0.1"),
            ("", "127.0.0.1"),
        ],
    )
    async def test_says_who_asks_by_the_right_most_address_that_is_not_its_own(self, told: str, client: str) -> None:
        async with site(trusted_proxies="127.0.0.1, 10.0.0.0/8") as one:
            assert (await seen(one, f"X-Forwarded-For: {told}\r\n"))[0] == client

    async def test_appends_in_a_header_of_its_own_too(self) -> None:
        async with site(trusted_proxies="127.0.0.1") as one:
            headers = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 9.9.9.9\r\n"
            assert (await seen(one, headers))[0] == "9.9.9.9"

    @pytest.mark.parametrize(
        ("told", "scheme"),
        [("https", "https"), ("HTTPS", "https"), ("https, http", "http"), ("javascript", "http"), ("", "http")],
    )
    async def test_says_how_it_was_asked(self, told: str, scheme: str) -> None:
        async with site(trusted_proxies="127.0.0.1") as one:
            assert (await seen(one, f"X-Forwarded-Proto: {told}\r\n"))[1] == scheme

    async def test_may_be_named_by_its_name(self) -> None:
        proxies = TrustedProxies(["caddy"], look_up=lambda _: {"172.18.0.5"})
        assert not proxies.trusts("172.18.0.5"), "nobody has looked yet"
        assert await proxies.trusts_now("172.18.0.5")
        assert not await proxies.trusts_now("172.18.0.6")

    async def test_that_comes_back_with_another_address_is_found_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now, addresses = [100.0], {"172.18.0.5"}
        monkeypatch.setattr("services.kit.network.trusted_proxies.time.monotonic", lambda: now[0])
        proxies = TrustedProxies(["caddy"], look_up=lambda _: set(addresses))
        assert await proxies.trusts_now("172.18.0.5")
        addresses.clear()
        addresses.add("172.18.0.9")
        now[0] += ANEW
        assert await proxies.trusts_now("172.18.0.9")
        assert not await proxies.trusts_now("172.18.0.5"), "whoever has its address now is somebody else"

    async def test_whose_name_is_not_found_is_not_believed(self) -> None:
        def look_up(name: str) -> set[str]:
            raise OSError(f"no such host: {name}")

        assert not await TrustedProxies(["caddy"], look_up).trusts_now("172.18.0.5")

    async def test_is_looked_up_once_for_many_requests(self) -> None:
        asked = []

        def look_up(name: str) -> set[str]:
            asked.append(name)
            return set()

        proxies = TrustedProxies(["caddy"], look_up)
        await asyncio.gather(*(proxies.trusts_now("9.9.9.9") for _ in range(50)))
        assert len(asked) == 1


class TestTheSetting:
    @pytest.mark.parametrize(
        "told", ["*", "0.0.0.0/0", "::/0", "10.0.0", "1.2.3.4.5", "a;b", "http://caddy", "300.1.1.1"]
    )
    def test_names_no_everybody_and_no_nonsense(self, told: str) -> None:
        with pytest.raises(ValidationError, match=r"trusted prox|everybody"):
            ServiceSettings.model_validate({"trusted_proxies": told})

    def test_is_addresses_networks_and_names(self) -> None:
        proxies = read_proxies("10.0.0.1, 192.168.0.0/16 ,2001:db8::/32 caddy,,")
        for address, trusted in {
            "10.0.0.1": True,
            "10.0.0.2": False,
            "::ffff:10.0.0.1": True,
            "192.168.7.7": True,
            "2001:db8::7": True,
            "2001:db9::7": False,
            "not an address": False,
            "": False,
        }.items():
            assert proxies.trusts(address) is trusted, address

    def test_is_nobody_unless_told(self) -> None:
        assert not ServiceSettings().proxies


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("127.0.0.1", "127.200.3.4", True),
        ("::1", "127.0.0.1", True),
    ],
)
def test_an_ipv6_client_counts_by_its_64(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


async def test_behind_a_named_proxy_each_client_has_tries_of_its_own(
    settings: ServiceSettings,
    api_database_url: str,
    clock: FakeClock,
    seed: Seed,
) -> None:
    async def status(client: object, address: str, email: str = "viewer@acme", password: str = PASSWORD) -> int:
        body = {"email": email, "password": password}
        headers = {**HERE, "X-Forwarded-For": address}
        return (await client.post("/v1/auth/sign-in", json=body, headers=headers)).status_code  # type: ignore[attr-defined,no-any-return]

    async with replica(settings, api_database_url, clock, trusted_proxies="127.0.0.1") as client:
        for number in range(PER_ADDRESS):  # of many accounts, by many addresses of one /64
            told = await status(client, f"2001:db8::{number:x}", f"nobody-{number}@acme", "wrong password")
            assert told == 401
        assert await status(client, "2001:db8::ffff") == 429, "the /64 has had its tries"
        assert await status(client, "2001:db8:0:1::1") == 200, "its neighbour has not"


async def test_whoever_forges_a_proxys_word_stays_one_address(
    settings: ServiceSettings,
    api_database_url: str,
    clock: FakeClock,
    seed: Seed,
) -> None:
    async with replica(settings, api_database_url, clock) as client:
        statuses = [
            (
                await client.post(
                    "/v1/auth/sign-in",
                    json={"email": f"nobody-{number}@acme", "password": "wrong password"},
                    headers={**HERE, "X-Forwarded-For": f"9.9.{number}.9", "Forwarded": f"for=9.9.{number}.9"},
                )
            ).status_code
            for number in range(PER_ADDRESS + 5)
        ]
    assert statuses == [401] * PER_ADDRESS + [429] * 5
