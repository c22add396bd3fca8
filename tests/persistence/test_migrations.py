"""The rules of the migrations."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import asyncpg
import pytest

from contracts.events import State
from infra.local.processes.postgres import PERSISTENCE, PostgresServer
from services.kit.settings import DatabaseSettings
from services.persistence.health import write_health
from services.persistence.migrate import check, downgrade, upgrade
from services.persistence.writer import Writer
from tests.persistence.builders import crossing, status
from tests.persistence.conftest import Stored


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(4)}"
    postgres_server.execute(f"CREATE DATABASE {name} OWNER {PERSISTENCE}")
    yield postgres_server.url(PERSISTENCE, name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_migrated_database_has_the_declared_tables_partitions_aside(database_url: str, writer: Writer) -> None:
    await writer.write([crossing()])

    await check(database_url)


async def test_several_may_migrate_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_database_url) for _ in range(3)))

    await check(empty_database_url)


async def test_upgrade_keeps_data_and_downgrade_leaves_nothing(
    database_url: str, pool: asyncpg.Pool, writer: Writer, stored: Stored
) -> None:
    await writer.write([crossing()])

    await upgrade(database_url)
    assert len(await stored.ids()) == 1

    await downgrade(database_url, "base")
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tablename"] for row in tables] == ["alembic_version"]

    await upgrade(database_url)
    await check(database_url)


async def test_accounts_come_and_go_without_touching_what_was_there(
    database_url: str, pool: asyncpg.Pool, writer: Writer, stored: Stored
) -> None:
    await stored.add_store("shop", "Africa/Tunis")
    await writer.write([crossing()])
    await pool.execute(
        "INSERT INTO account (id, email, name, superadmin, disabled, created_at)"
        " VALUES (gen_random_uuid(), 'a@b', '', false, false, now())"
    )
    await pool.execute('UPDATE store SET capacity = 40, opening_hours = \'{"monday": [["09:00", "18:00"]]}\'')

    await downgrade(database_url, "0002")
    assert await pool.fetchval("SELECT time_zone FROM store") == "Africa/Tunis"
    assert await pool.fetchval("SELECT to_regclass('account')") is None

    await upgrade(database_url)
    store = await pool.fetchrow("SELECT time_zone, opening_hours, capacity FROM store")
    assert tuple(store) == ("Africa/Tunis", "{}", None)
    assert await pool.fetchval("SELECT count(*) FROM account") == 0
    assert len(await stored.ids()) == 1
    await check(database_url)


async def test_history_comes_and_goes_without_touching_what_was_counted(
    database_url: str, pool: asyncpg.Pool, writer: Writer, stored: Stored
) -> None:
    await stored.add_store("shop", "Africa/Tunis")
    await writer.write([crossing(1), crossing(2)])
    sessions = await pool.fetch("SELECT * FROM session_count")

    await downgrade(database_url, "0020")
    assert await pool.fetchval("SELECT to_regclass('occupancy_correction')") is None
    assert await stored.days() == {"2026-11-20": (2, 0)}

    await upgrade(database_url)
    assert await pool.fetch("SELECT run, camera, session, store, last_at, crossings FROM session_count") == [
        (*(row["run"], row["camera"], row["session"]), row["store"], row["last_at"], row["crossings"])
        for row in sessions
    ]
    assert str(await pool.fetchval("SELECT occupancy_reset FROM store")) == "00:00:00"
    await writer.write([crossing(3)])
    await stored.assert_rollups_equal_record()
    await check(database_url)


async def test_health_comes_and_goes_without_touching_the_cameras(
    database_url: str, pool: asyncpg.Pool, stored: Stored
) -> None:
    await stored.add_store("shop", "Africa/Tunis")
    await stored.add_camera()
    await write_health(pool, [status(0), status(5, State.RETRYING, "no answer")])

    await downgrade(database_url, "0030")
    assert await pool.fetchval("SELECT to_regclass('camera_health')") is None
    assert await pool.fetchval("SELECT store FROM camera WHERE id = 'door'") == "shop"

    await upgrade(database_url)
    assert await stored.health() == []
    await write_health(pool, [status(7)])
    assert await stored.health() == [(7, "ingest", "running", "")]
    await check(database_url)


async def test_addresses_that_only_the_owner_can_have_set_are_trusted_and_messages_that_tell_them_go(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await downgrade(database_url, "0050")
    await pool.execute("INSERT INTO organization (id, name) VALUES ('acme', 'Acme')")
    await pool.execute("INSERT INTO store (id, organization, name, time_zone) VALUES ('shop', 'acme', 'Shop', 'UTC')")
    addresses = {
        "/films/a.mp4": True,
        "a.mp4": True,
        "0": True,
        "/dev/video0": True,
        "sim://door": True,
        "file:///a": True,
        "rtsp://127.0.0.1/x": False,
        "HTTP://camera": False,
        "sealed:gAAAA": False,
        "http:127.0.0.1": False,
    }
    for number, address in enumerate(addresses):
        await pool.execute(
            "INSERT INTO camera (id, store, name, revision, address, again, model, policy, width, quality, preview_fps,"
            " paused) VALUES ($1, 'shop', '', 1, $2, 0, 'motion', 'latest', 960, 85, 4, false)",
            f"camera-{number}",
            address,
        )
    told = ["rtsp://h/user=a_password=tlJwpbo6: connection refused at h:554", "Opening the source."]
    await pool.executemany(
        "INSERT INTO camera_health (camera, service, at, state, message)"
        " VALUES ('camera-0', 'ingest', now() + make_interval(secs => $1), 'retrying', $2)",
        enumerate(told),
    )

    await upgrade(database_url)

    assert dict(await pool.fetch("SELECT address, trusted FROM camera")) == addresses
    kept = [row["message"] for row in await pool.fetch("SELECT message FROM camera_health ORDER BY at")]
    assert "://" not in kept[0]
    assert kept[1] == told[1]


async def test_zones_come_and_go_without_touching_the_cameras(
    database_url: str, pool: asyncpg.Pool, stored: Stored
) -> None:
    await stored.add_store("shop", "Africa/Tunis")
    await stored.add_camera()
    await pool.execute("INSERT INTO zone (camera, id, name, polygon) VALUES ('door', 'till', 'Till', '[]')")

    await downgrade(database_url, "0040")
    assert await pool.fetchval("SELECT to_regclass('zone')") is None
    assert await pool.fetchval("SELECT store FROM camera WHERE id = 'door'") == "shop"

    await upgrade(database_url)
    assert await pool.fetchval("SELECT count(*) FROM zone") == 0
    await check(database_url)


async def test_who_is_signed_in_stays_so_for_thirty_days_from_the_beginning(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await downgrade(database_url, "0061")
    assert await pool.fetchval("SELECT to_regclass('second_factor')") is None
    await pool.execute(
        """
        INSERT INTO account (id, email, name, superadmin, disabled, created_at)
        VALUES ('00000000-0000-0000-0000-000000000001', 'a@b', '', false, false, now());
        INSERT INTO refresh_token (hash, family, "user", issued_at, expires_at, used_at)
        SELECT hash, '00000000-0000-0000-0000-00000000000f', '00000000-0000-0000-0000-000000000001',
            issued_at, issued_at + interval '30 days', used_at
        FROM (VALUES
            ('first', timestamptz '2026-11-01T00:00Z', timestamptz '2026-11-20T00:00Z'),
            ('second', timestamptz '2026-11-20T00:00Z', NULL)
        ) AS tokens (hash, issued_at, used_at)
        """
    )

    await upgrade(database_url)

    row = await pool.fetchrow("SELECT began_at, last_used_at, ends_at, browser FROM sign_in")
    days = [row[name].date().isoformat() for name in ("began_at", "last_used_at", "ends_at")]
    assert days == ["2026-11-01", "2026-11-20", "2026-12-01"]
    ends = await pool.fetch("SELECT DISTINCT expires_at FROM refresh_token")
    assert [one["expires_at"] for one in ends] == [row["ends_at"]]
    await check(database_url)


async def test_migration_waits_for_the_database(postgres_server: PostgresServer, database_url: str) -> None:
    await asyncio.to_thread(postgres_server.stop)
    migration = asyncio.create_task(upgrade(database_url))
    await asyncio.sleep(0)

    await asyncio.to_thread(postgres_server.start)

    await migration


async def test_wrong_password_is_an_error_at_once(database_url: str) -> None:
    user, _, rest = database_url.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:wrong@{rest}"

    with pytest.raises(asyncpg.InvalidPasswordError):
        await upgrade(DatabaseSettings(database_url=wrong).database_url.get_secret_value())


async def test_api_reads_all_and_writes_only_the_configuration(
    api_database_url: str, pool: asyncpg.Pool, writer: Writer, stored: Stored
) -> None:
    await stored.add_store("shop", "Africa/Tunis")
    await stored.add_camera()
    await write_health(pool, [status(0)])
    await writer.write([crossing()])  # makes a partition, after the grants

    connection = await asyncpg.connect(api_database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM crossing") == 1
        assert await connection.fetchval("SELECT count(*) FROM crossing_y2026m11") == 1
        await connection.execute("UPDATE store SET time_zone = 'Europe/Paris'")
        await connection.execute("DELETE FROM account")
        await connection.execute(
            "INSERT INTO audit_entry (at, who, action, kind, key) VALUES (now(), 'me', 'changed', 'store', 'shop')"
        )
        for forbidden in (
            *("DELETE FROM crossing", "UPDATE count_day SET ins = 0", "DELETE FROM alembic_version"),
            *("DELETE FROM camera_health", "UPDATE camera_health SET state = 'running'"),
            *("DELETE FROM audit_entry", "UPDATE audit_entry SET who = 'nobody'"),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
        assert await connection.fetchval("SELECT count(*) FROM camera_health") == 1
        await connection.execute("DELETE FROM camera")  # and its health with it
        assert await connection.fetchval("SELECT count(*) FROM camera_health") == 0
    finally:
        await connection.close()
