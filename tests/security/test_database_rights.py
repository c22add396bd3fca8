"""The roles of the API and of persistence may do their work and nothing more (Holds: "Postgres as metrica_api")."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.local.processes.postgres import ADMIN, API, PERSISTENCE, PostgresServer

COUNTED = ("crossing", "count_hour", "count_day", "run_session", "camera_health", "alembic_version")
"""What persistence alone writes."""
APPENDED = ("audit_entry",)
"""What may be added to, and never changed."""
BEYOND = {
    "passwords": "SELECT rolpassword FROM pg_authid",
    "password hashes": "SELECT passwd FROM pg_shadow",
    "a file": "SELECT pg_read_file('/etc/passwd')",
    "a file's bytes": "SELECT pg_read_binary_file('postgresql.conf')",
    "a folder": "SELECT pg_ls_dir('/')",
    "the logs": "SELECT pg_ls_logdir()",
    "a file's age": "SELECT pg_stat_file('/etc/passwd')",
    "a file by COPY": "COPY store FROM '/etc/passwd'",
    "a file written by COPY": "COPY store TO '/tmp/metrica-was-here'",
    "a program": "COPY store FROM PROGRAM 'id'",
    "a program that is told": "COPY store TO PROGRAM 'cat'",
    "a large object of a file": "SELECT lo_import('/etc/passwd')",
    "a large object as a file": "SELECT lo_export(1, '/tmp/metrica-was-here')",
    "a role": "CREATE ROLE friend SUPERUSER",
    "a greater role": f"ALTER ROLE {API} SUPERUSER",
    "another's password": f"ALTER ROLE {ADMIN} PASSWORD 'x'",
    "another role": f"SET ROLE {ADMIN}",
    "another session": f"SET SESSION AUTHORIZATION {ADMIN}",
    "a grant": f"GRANT {ADMIN} TO {API}",
    "a database": "CREATE DATABASE another",
    "no database": "DROP DATABASE postgres",
    "an extension": "CREATE EXTENSION dblink",
    "a language": "CREATE LANGUAGE plpython3u",
    "a function of a library": "CREATE FUNCTION f() RETURNS int AS 'libc.so.6', 'getpid' LANGUAGE c",
    "a setting of the server": "ALTER SYSTEM SET log_statement = 'all'",
    "a setting for good": "SELECT set_config('log_statement', 'all', false)",
    "a reload": "SELECT pg_reload_conf()",
    "a library": "LOAD '/tmp/x.so'",
    "another's end": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
    "a checkpoint": "CHECKPOINT",
    "a copy of everything": "SELECT pg_backup_start('x')",
    "a slot of replication": "SELECT pg_create_physical_replication_slot('x')",
    "a subscription": "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p",
    "a foreign server": "CREATE FOREIGN DATA WRAPPER w",
    "an event trigger": "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()",
}
DDL = {
    "a table": "CREATE TABLE mine (a int)",
    "a view": "CREATE VIEW mine AS SELECT 1",
    "a function": "CREATE FUNCTION mine() RETURNS int AS 'SELECT 1' LANGUAGE sql",
    "a schema": "CREATE SCHEMA mine",
    "a rule": "CREATE RULE r AS ON DELETE TO audit_entry DO INSTEAD NOTHING",
    "a trigger": "CREATE TRIGGER t BEFORE UPDATE ON store EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "another owner": f"ALTER TABLE audit_entry OWNER TO {API}",
    "no constraint": "ALTER TABLE membership DROP CONSTRAINT membership_pkey",
    "no log": "DROP TABLE audit_entry",
    "row security": "ALTER TABLE store DISABLE TRIGGER ALL",
    "a policy": "CREATE POLICY p ON store USING (true)",
    "a comment": "COMMENT ON TABLE store IS 'mine'",
}


@pytest.fixture
async def api(api_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(api_database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def persistence(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def refuses(connection: asyncpg.Connection, what: dict[str, str]) -> list[str]:
    """The names of statements that were not refused for want of a right."""
    done = []
    for name, statement in what.items():
        try:
            if statement.startswith("COPY") and "PROGRAM" not in statement:
                await connection.execute(statement)
            else:
                await connection.fetch(statement)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.CantChangeRuntimeParamError):
            continue
        except (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError):
            continue  # there is no such extension in this Postgres
        except asyncpg.PostgresError as error:
            done.append(f"{name}: {type(error).__name__} {error}")
        else:
            done.append(f"{name}: done")
    return done


async def test_the_api_reaches_nothing_of_the_server_and_makes_nothing(api: asyncpg.Connection) -> None:
    assert await refuses(api, {**BEYOND, **DDL}) == []


async def test_persistence_owns_its_tables_and_nothing_of_the_server(persistence: asyncpg.Connection) -> None:
    assert await refuses(persistence, BEYOND) == []


async def test_no_role_of_a_service_is_more_than_a_role_that_signs_in(api: asyncpg.Connection) -> None:
    rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    mighty = await api.fetch(f"SELECT rolname FROM pg_roles WHERE rolcanlogin AND ({rights})")
    member = await api.fetch(
        "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER') AND rolname <> current_user"
    )

    assert [row["rolname"] for row in mighty] == [ADMIN]
    assert [row["rolname"] for row in member] == []


async def test_the_api_writes_no_count_and_changes_no_line_of_the_log(api: asyncpg.Connection) -> None:
    tables = {row["relname"]: row["oid"] for row in await api.fetch(
        "SELECT relname, oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )}  # fmt: skip
    partitions = [name for name in tables if name.startswith(("crossing_", "count_"))]

    async def may(table: str, right: str) -> bool:
        return bool(await api.fetchval("SELECT has_table_privilege($1::oid, $2)", tables[table], right))

    assert set(COUNTED) & set(tables) >= {"crossing", "count_day", "alembic_version"}
    for table in {*COUNTED, *partitions} & set(tables):
        assert not [right for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER") if await may(table, right)]
    for table in APPENDED:
        assert await may(table, "INSERT")
        assert not [right for right in ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER") if await may(table, right)]
    for table in tables:
        assert not [right for right in ("TRUNCATE", "TRIGGER", "REFERENCES") if await may(table, right)], table


async def test_nobody_else_has_a_right_to_anything(api: asyncpg.Connection) -> None:
    """Of PUBLIC, that is: every role there will ever be."""
    open_to_all = await api.fetch(
        "SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0"
    )

    assert [row["relname"] for row in open_to_all] == []
    assert not await api.fetchval("SELECT has_schema_privilege(current_user, 'public', 'CREATE')")


@pytest.mark.parametrize("role", [ADMIN, PERSISTENCE, API])
async def test_nobody_connects_without_the_password(role: str, postgres_server: PostgresServer) -> None:
    address = {"host": "127.0.0.1", "port": postgres_server.port, "user": role, "database": "postgres"}
    for password in (None, "", "wrong", role, "postgres"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(**address, password=password, timeout=10)


async def test_what_it_hides_of_passwords_is_a_salted_hash(postgres_server: PostgresServer) -> None:
    stored = postgres_server.execute("SELECT rolpassword FROM pg_authid WHERE rolcanlogin", database="postgres")

    assert all(line.startswith("SCRAM-SHA-256$") for line in stored.split())
