"""Fixtures of every test: real servers, one set per xdist worker, and what a machine must have.

Real footage is found by METRICA_TEST_DATA; the last line of every run says how many of its tests ran.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local.nats import NatsServer
from infra.local.postgres import API, PERSISTENCE, PostgresServer
from services.kit.settings import ServiceSettings
from services.persistence.migrate import upgrade

FOOTAGE = "METRICA_TEST_DATA"


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of the test's own: `url`, `environment(user)`, `stop()`, `kill()`, and `start()` again."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def settings(nats_server: NatsServer) -> ServiceSettings:
    """The settings of somebody who may do everything on the test's NATS server."""
    return ServiceSettings(
        nats_url=nats_server.url, nats_user="developer", nats_password=nats_server.passwords["developer"]
    )


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One Postgres per worker."""
    with PostgresServer(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """A database with all migrations: tests get copies of it, which cost 30 ms instead of a second."""
    name = "migrated"
    postgres_server.execute(f"CREATE DATABASE {name} OWNER {PERSISTENCE}")
    with ThreadPoolExecutor() as thread:  # an event loop of its own: the caller's thread may have one
        thread.submit(asyncio.run, upgrade(postgres_server.url(PERSISTENCE, name))).result()
    return name


@pytest.fixture
def database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The name of a fresh migrated database."""
    name = f"test_{secrets.token_hex(4)}"
    postgres_server.execute(
        f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY OWNER {PERSISTENCE}"
    )
    yield name
    if not postgres_server.running:  # a test killed it
        postgres_server.start()
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres_server: PostgresServer, database: str) -> str:
    """A fresh migrated database, as persistence sees it."""
    return postgres_server.url(PERSISTENCE, database)


@pytest.fixture
def api_database_url(postgres_server: PostgresServer, database: str) -> str:
    """The same database as `database_url`, as the api sees it."""
    return postgres_server.url(API, database)
