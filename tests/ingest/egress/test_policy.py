"""The rule by which sources may connect, and the settings that it follows."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.ingest.egress import TRUSTED, Guarded, SourceNetworks
from services.ingest.egress.authentication import Login, answer
from services.ingest.egress.resolving import UnknownHost
from services.ingest.egress.setting import Endpoint, parse_endpoints
from services.ingest.settings import IngestSettings
from services.kit.network.ip_addresses import IPAddress, attached_networks, is_own, is_special

CAMERAS = ["10.0.0.5", "192.168.1.20", "172.16.3.4", "100.64.3.4", "203.0.114.9", "fd12:3456::5", "2a00:1450:4001::1"]
NO_CAMERAS = [
    "127.0.0.1", "127.255.0.9",
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.192", "224.0.0.251", "239.255.255.250",
    "255.255.255.255", "240.0.0.1", "168.63.129.16", "100.100.100.200", "::", "::1", "::ffff:127.0.0.1", "::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:5", "2002:a9fe:a9fe::1", "2001:0:53aa:64c::1", "fe80::1", "fec0::1",
    "ff02::1",
    "fd00:ec2::254", "fd20:ce::254", "100::1", "fd00::5efe:7f00:1",
]  # fmt: skip


def rule(
    networks: str = "", own: str = "", *, closed: bool = False, here: tuple[str, ...] = ("192.168.1.2",)
) -> Guarded:
    """The rule on a machine that has some addresses, with a resolver that knows `nats` and `api`."""

    def resolver(host: str, _timeout: float) -> tuple[IPAddress, ...]:
        names = {"nats": "172.18.0.3", "api": "172.18.0.4", "localhost": "127.0.0.1"}
        try:
            return (ip_address(names.get(host, host)),)
        except ValueError:
            raise UnknownHost(host) from None

    return Guarded(
        SourceNetworks.parse(networks),
        parse_endpoints(own),
        closed_network=closed,
        resolver=resolver,
        own=lambda address: address.is_loopback or str(address) in here,
        attached=lambda: (ip_network("172.18.0.0/16"),),
    )


@pytest.mark.parametrize("address", CAMERAS)
def test_cameras_may_be_in_every_ordinary_network(address: str) -> None:
    assert rule().allows(ip_address(address), 554)
    assert not is_special(ip_address(address))


@pytest.mark.parametrize("address", NO_CAMERAS)
def test_no_camera_is_at_a_special_address(address: str) -> None:
    assert not rule().allows(ip_address(address), 554)
    assert TRUSTED.allows(ip_address(address), 554)


def test_this_machines_own_addresses_are_refused_on_every_interface() -> None:
    assert not rule().allows(ip_address("192.168.1.2"), 554)
    assert not rule().allows(ip_address("::ffff:192.168.1.2"), 554)
    assert rule().allows(ip_address("192.168.1.3"), 554)


def test_the_system_knows_which_addresses_are_its_own() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        mine = ip_address(probe.getsockname()[0])

    assert is_own(mine)
    assert is_own(ip_address("::1"))
    assert not is_own(ip_address("203.0.113.77"))


class TestSourceNetworks:
    def test_a_plus_opens_what_is_refused_otherwise(self) -> None:
        opened = rule("+127.0.0.1/32, +192.168.1.2")

        assert opened.allows(ip_address("127.0.0.1"), 554)
        assert opened.allows(ip_address("192.168.1.2"), 554)
        assert not opened.allows(ip_address("127.0.0.2"), 554)
        assert opened.allows(ip_address("10.0.0.5"), 554)

    def test_without_a_plus_nothing_else_is_allowed(self) -> None:
        restricted = rule("10.0.0.0/8, fd12::/16")

        assert restricted.allows(ip_address("10.0.0.5"), 554)
        assert not restricted.allows(ip_address("192.168.1.20"), 554)
        assert not restricted.allows(ip_address("2a00::1"), 554)

    def test_both_may_be_given(self) -> None:
        both = rule("10.0.0.0/8,+127.0.0.1")

        assert both.allows(ip_address("127.0.0.1"), 554)
        assert not both.allows(ip_address("192.168.1.20"), 554)

    def test_a_wide_restriction_opens_nothing(self) -> None:
        assert not rule("0.0.0.0/0").allows(ip_address("127.0.0.1"), 554)
        assert not rule("0.0.0.0/0").allows(ip_address("192.168.1.2"), 554)

    @pytest.mark.parametrize(
        ("text", "words"),
        [("10.0.0.0/33", "is no network"), ("cameras", "is no network"), ("10.0.0.5/8", "host bits"),
         ("127.0.0.1", r"write \+127")],
    )  # fmt: skip
    def test_what_cannot_be_meant_is_refused_at_start(self, text: str, words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            IngestSettings(source_networks=text)


class TestOwnServices:
    @pytest.mark.parametrize("networks", ["", "+0.0.0.0/0,+::/0"])
    def test_are_refused_even_where_their_network_is_opened(self, networks: str) -> None:
        guarded = rule(networks, "nats:4222, api, 10.0.0.9:5432")

        assert not guarded.allows(ip_address("172.18.0.3"), 4222)
        assert not guarded.allows(ip_address("172.18.0.4"), 1)
        assert not guarded.allows(ip_address("10.0.0.9"), 5432)
        assert guarded.allows(ip_address("172.18.0.3"), 554)
        assert guarded.allows(ip_address("10.0.0.9"), 554)

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "192.168.1.2", "::ffff:192.168.1.2"])
    def test_on_this_machine_are_refused_at_all_of_its_addresses(self, address: str) -> None:
        guarded = rule("+0.0.0.0/0,+::/0", "localhost:4222")

        assert not guarded.allows(ip_address(address), 4222)
        assert guarded.allows(ip_address(address), 554)

    def test_that_are_not_up_stop_nobody(self) -> None:
        assert rule("", "prometheus:9090").allows(ip_address("10.0.0.5"), 9090)

    def test_nats_is_one_without_being_named(self) -> None:
        settings = IngestSettings(nats_url="nats://127.0.0.1:4222", source_networks="+127.0.0.1")

        assert not settings.egress(trusted=False).allows(ip_address("127.0.0.1"), 4222)
        assert settings.egress(trusted=False).allows(ip_address("127.0.0.1"), 554)
        assert settings.egress(trusted=True).allows(ip_address("127.0.0.1"), 4222)

    def test_endpoints_are_read_with_and_without_a_port(self) -> None:
        assert parse_endpoints("nats, 10.0.0.2:4222, [fd00::2]:5432,,tls://nats:4222") == (
            Endpoint("nats", None),
            Endpoint("10.0.0.2", 4222),
            Endpoint("fd00::2", 5432),
            Endpoint("nats", 4222),
        )
        with pytest.raises(ValidationError, match="METRICA_OWN_SERVICES"):
            IngestSettings(own_services="nats:http")


class TestClosedNetwork:
    """In compose the network that ingest is in holds Metrica's services, and the host as its gateway."""

    def test_its_members_are_refused(self) -> None:
        assert not rule(closed=True).allows(ip_address("172.18.0.1"), 22)
        assert rule(closed=True).allows(ip_address("192.168.1.20"), 554)
        assert rule("+172.18.0.77", closed=True).allows(ip_address("172.18.0.77"), 554)

    def test_the_networks_are_read_from_the_routing_tables(self, tmp_path: Path) -> None:
        (tmp_path / "route").write_text(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
            "eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
            "eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        )
        (tmp_path / "ipv6_route").write_text(
            "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
            "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
        )

        assert attached_networks(tmp_path) == (IPv4Network("172.18.0.0/16"), ip_network("fd00::/64"))
        assert attached_networks(tmp_path / "nowhere") == ()


def test_an_address_with_a_zone_is_judged_without_it() -> None:
    assert not rule("+10.0.0.0/8").allows(IPv6Address("fe80::1%eth0"), 554)
    assert rule("+fe80::/10").allows(IPv6Address("fe80::1%eth0"), 554)


class TestAuthentication:
    def test_digest_is_as_the_standard_has_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("secrets.token_hex", lambda _: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
        challenge = (
            'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        login = Login("Mufasa", "Circle of Life")

        md5 = answer([challenge.format("MD5")], login, "GET", "/dir/index.html")
        sha = answer([challenge.format("SHA-256")], login, "GET", "/dir/index.html")

        # RFC 7616, 3.9.1
        assert md5 is not None
        assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in md5
        assert sha is not None
        assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in sha

    def test_the_password_is_hidden_where_the_camera_lets_it(self) -> None:
        assert Login.parse("Mufasa:Circle%20Of%20Life") == Login("Mufasa", "Circle Of Life")
        both = ['Basic realm="x"', 'Digest realm="x", nonce="1"']

        assert str(answer(both, Login("a", "b"), "GET", "/")).startswith("Digest ")
        assert answer(['Basic realm="x"'], Login("a", "b"), "GET", "/") == "Basic YTpi"
        assert answer(["Negotiate"], Login("a", "b"), "GET", "/") is None
