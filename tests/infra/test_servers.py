"""The two servers, as the local stack and the tests run them."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import nats
import pytest
from nats.aio.client import Client

from contracts.subjects import inbox
from infra.local.errors import LocalError
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer


async def _connect(server: NatsServer, user: str = "developer", password: str | None = None) -> Client:
    return await nats.connect(
        server.url,
        user=user,
        password=password or server.passwords[user],
        inbox_prefix=inbox(user),
        allow_reconnect=False,
        connect_timeout=5,
    )


class TestNats:
    async def test_what_was_acknowledged_survives_kill_and_restart_on_the_same_port(
        self, nats_server: NatsServer
    ) -> None:
        client = await _connect(nats_server)
        await client.jetstream().add_stream(name="KEEP", subjects=["keep"])
        await client.jetstream().publish("keep", b"this")
        port = nats_server.port
        nats_server.kill()
        assert not nats_server.running
        nats_server.start()
        assert nats_server.port == port
        client = await _connect(nats_server)
        assert (await client.jetstream().get_last_msg("KEEP", "keep")).data == b"this"
        await client.close()

    async def test_only_users_with_their_own_password_are_let_in(self, nats_server: NatsServer) -> None:
        for user in ("ingest", "detector", "tracker", "persistence", "api", "replay"):
            await (await _connect(nats_server, user)).close()
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
            await _connect(nats_server, "tracker", nats_server.passwords["api"])

    def test_its_passwords_are_for_nobody_elses_eyes(self, nats_server: NatsServer) -> None:
        for file in (path for path in nats_server.folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            assert not [user for user, password in nats_server.passwords.items() if password.encode() in content], file

    async def test_it_runs_in_a_folder_of_any_name(self, tmp_path: Path) -> None:
        with NatsServer(tmp_path / 'Café "Chez # Nous"') as server:
            client = await _connect(server)
            await client.jetstream().add_stream(name="KEEP", subjects=["keep"])
            await client.close()
            assert list(server.folder.rglob("KEEP"))

    def test_a_taken_port_is_an_error_that_says_so(self, nats_server: NatsServer, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="address already in use"):
            NatsServer(tmp_path / "second", port=nats_server.port).start()


class TestPostgres:
    async def test_what_was_committed_survives_kill_and_restart_on_the_same_port(self, tmp_path: Path) -> None:
        server = PostgresServer(tmp_path / "postgres").start()
        try:
            server.execute("CREATE TABLE kept AS SELECT 1 AS a")
            busy = await asyncpg.connect(server.url())  # a backend that must be gone before the next start succeeds
            server.kill()
            server.start()
            await busy.close(timeout=1)
            assert server.execute("SELECT a FROM kept").strip() == "1"
        finally:
            server.stop()
        assert not server.running

    async def test_new_passwords_are_taken_up_and_old_ones_refused(self, tmp_path: Path) -> None:
        with PostgresServer(tmp_path / "postgres") as first:
            old = first.url()
        with PostgresServer(tmp_path / "postgres", port=first.port) as second:
            await (await asyncpg.connect(second.url())).close()
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(old)

    async def test_the_api_reads_everything_and_writes_the_configuration_alone(self, api_database_url: str) -> None:
        connection = await asyncpg.connect(api_database_url)
        await connection.execute("INSERT INTO organization (id, name) VALUES ('o', 'O')")
        assert await connection.fetchval("SELECT count(*) FROM crossing") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM crossing")
        await connection.close()

    async def test_each_test_has_a_fresh_database(self, database_url: str) -> None:
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT count(*) FROM organization") == 0
        await connection.close()

    def test_a_folder_with_something_else_in_it_is_left_alone(self, tmp_path: Path) -> None:
        letter = tmp_path / "data" / "letter.txt"
        letter.parent.mkdir()
        letter.write_text("dear all")
        with pytest.raises(LocalError, match="no Postgres data"):
            PostgresServer(tmp_path).start()
        assert letter.read_text() == "dear all"
