"""The rules of encryption: who asks for it has it, with the server that was meant, or no connection at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from contracts.streams import Owner
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.cli.command import metrica
from tests.support.broker import connected, eventually

HOST = "127.0.0.1"


class Authority:
    """Signs certificates, and keeps them as files."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._authority, self._folder = trustme.CA(), folder
        self.file = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def issue(self, name: str) -> dict[str, str]:
        """A certificate for a host or service, in the words of nats-server."""
        issued, certificate, key = (
            self._authority.issue_cert(name), self._folder / f"{name}.pem", self._folder / f"{name}.key",
        )  # fmt: skip
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return {"cert_file": str(certificate), "key_file": str(key)}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


Serve = Callable[..., NatsServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server, with its settings for TLS where it is to have it."""
    with ExitStack() as running:
        yield lambda **tls: running.enter_context(NatsServer(tmp_path / "nats", tls=tls or None))


def reaching(server: NatsServer, **more: object) -> ServiceSettings:
    known = {"nats_url": server.url, "nats_user": DEVELOPER, "nats_password": server.passwords[DEVELOPER]}
    return ServiceSettings.model_validate({**known, **more})


async def kept_out(settings: ServiceSettings) -> str:
    """The reason for which nobody gets in with these settings: it is said, and tried again."""
    bus = Bus(settings, "test", Owner.TRACKER)
    starting = asyncio.create_task(bus.start())

    async def reason() -> str | None:
        assert not starting.done()
        return None if bus.problem == "NATS is away" else bus.problem

    try:
        return str(await eventually(reason))
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


async def test_a_server_that_the_authority_signed_is_let_in_and_found_again(authority: Authority, serve: Serve) -> None:
    server = serve(**authority.issue(HOST))

    async with connected(reaching(server, nats_tls_ca=authority.file), Owner.TRACKER) as bus:
        assert (await bus.js.stream_info("CROSSINGS")).state.messages == 0
        server.kill()
        server.start()

        async def there_again() -> bool:
            return bus.generation == 1

        await eventually(there_again)
        assert (await bus.js.stream_info("CROSSINGS")).state.messages == 0


async def test_a_server_that_another_authority_signed_is_not_trusted(
    authority: Authority, serve: Serve, tmp_path: Path
) -> None:
    server = serve(**authority.issue(HOST))

    for settings in (
        reaching(server, nats_tls_ca=Authority(tmp_path, "another").file),
        reaching(server),  # the server asks for TLS: whom this machine trusts is trusted
    ):
        assert "the certificate of NATS is not trusted" in await kept_out(settings)


async def test_a_certificate_for_another_host_is_not_trusted(authority: Authority, serve: Serve) -> None:
    server = serve(**authority.issue("elsewhere.example"))

    reason = await kept_out(reaching(server, nats_tls_ca=authority.file))

    assert "the certificate of NATS is not trusted" in reason
    assert HOST in reason


@pytest.mark.parametrize("asked", ["authority", "address"])
async def test_the_password_is_not_sent_in_the_clear_where_tls_was_asked_for(
    authority: Authority, serve: Serve, asked: str
) -> None:
    server = serve()
    more = {"nats_tls_ca": authority.file} if asked == "authority" else {"nats_url": f"tls://{HOST}:{server.port}"}

    assert "NATS does not offer TLS" in await kept_out(reaching(server, **more))


async def test_where_the_server_asks_for_a_certificate_a_service_shows_its_own(
    authority: Authority, serve: Serve
) -> None:
    server = serve(**authority.issue(HOST), verify=True, ca_file=str(authority.file))
    own = authority.issue("tracker")
    shown = {"nats_tls_cert": own["cert_file"], "nats_tls_key": own["key_file"]}

    async with connected(reaching(server, nats_tls_ca=authority.file, **shown), Owner.TRACKER) as bus:
        assert (await bus.js.stream_info("CROSSINGS")).state.messages == 0
    assert "METRICA_NATS_TLS_CERT" in await kept_out(reaching(server, nats_tls_ca=authority.file))


async def test_the_command_line_speaks_it_too(
    authority: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(**authority.issue(HOST))
    for name, value in server.environment(DEVELOPER).items():
        monkeypatch.setenv(name, value)
    async with connected(reaching(server, nats_tls_ca=authority.file), Owner.PERSISTENCE):
        stranger = await asyncio.to_thread(metrica, "dlq", "list")
        monkeypatch.setenv("METRICA_NATS_TLS_CA", str(authority.file))
        friend = await asyncio.to_thread(metrica, "dlq", "list")

    assert "the certificate of NATS is not trusted" in stranger.err
    assert "no dead letters" in friend.out


@pytest.mark.parametrize("setting", ["nats_tls_ca", "nats_tls_cert"])
def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path, setting: str) -> None:
    file = tmp_path / "letter.txt"
    for content in (None, "dear all"):
        if content:
            file.write_text(content)
        with pytest.raises(ValueError, match=f"METRICA_{setting.upper()}={file}"):
            Bus(reaching(NatsServer(tmp_path), **{setting: file}), "test")
