"""NATS and Postgres for a test, from wheels or in containers: the same configuration, users and roles."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from contracts.streams import Owner
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import ADMIN, API, DATABASE, PERSISTENCE, ROLES, PostgresServer
from infra.nats.configuration import FILE, password_variable, quoted
from infra.nats.permissions import USERS
from services.kit.settings import ServiceSettings
from tests.support.images import image
from tests.support.scene import ROOT

_ROLES_FILE = ROOT / "infra" / "postgres" / "roles.sql"


@dataclass(frozen=True)
class Servers:
    """The addresses of both, and the way in of each service."""

    nats_url: str
    nats_passwords: Mapping[str, str]
    database_urls: Mapping[str, str]
    """By role."""

    def settings(self, service: Owner) -> ServiceSettings:
        """The settings of a service as its own user of NATS."""
        return ServiceSettings.model_validate(
            {"nats_url": self.nats_url, "nats_user": service, "nats_password": self.nats_passwords[service]}
        )


@contextmanager
def from_wheels(folder: Path) -> Iterator[Servers]:
    """Both as processes of this machine, as `./taskw up` has them."""
    with NatsServer(folder / "nats") as nats, PostgresServer(folder / "postgres", durable=False) as postgres:
        yield Servers(nats.url, nats.passwords, {role: postgres.url(role) for role in ROLES})


@contextmanager
def in_containers() -> Iterator[Servers]:
    """Both in containers, as compose.yaml has them."""
    testcontainers_config.ryuk_disabled = True  # it would end what the contexts below end
    passwords = {name: secrets.token_urlsafe(24) for name in (*USERS, *ROLES)}
    nats = (
        DockerContainer(image("METRICA_NATS_IMAGE"))
        .with_exposed_ports(4222)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
        .with_command(["--config", "/etc/nats/nats.conf"])
        .with_volume_mapping(FILE, "/etc/nats/nats.conf")
        .with_envs(**{password_variable(user): quoted(passwords[user]) for user in USERS})
    )
    postgres = (
        PostgresContainer(image("METRICA_POSTGRES_IMAGE"), username=ADMIN, password=passwords[ADMIN], dbname=DATABASE)
        .with_volume_mapping(_ROLES_FILE, "/docker-entrypoint-initdb.d/roles.sql")
        .with_env("METRICA_POSTGRES_PERSISTENCE_PASSWORD", passwords[PERSISTENCE])
        .with_env("METRICA_POSTGRES_API_PASSWORD", passwords[API])
    )
    with nats, postgres:
        nats_place = f"{nats.get_container_host_ip()}:{nats.get_exposed_port(4222)}"
        place = f"{postgres.get_container_host_ip()}:{postgres.get_exposed_port(5432)}"
        urls = {role: f"postgresql://{role}:{passwords[role]}@{place}/{DATABASE}" for role in ROLES}
        yield Servers(f"nats://{nats_place}", passwords, urls)
