"""A Postgres that somebody else runs, named by TEST_DATABASE_URL: as the tests' own, but nobody may stop it."""

from __future__ import annotations

import subprocess
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import pytest

from infra.local.errors import LocalError
from infra.local.processes.postgres import ADMIN, API, DATABASE, PERSISTENCE, PostgresServer, programs

_PASSWORD = "metrica-tests"
"""Of both roles: workers that run at a time must agree about it."""
_MAKE_ROLES = "SELECT pg_advisory_lock(7102); " + "".join(
    f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
    f"ALTER ROLE {role} PASSWORD '{_PASSWORD}'; GRANT {role} TO CURRENT_USER;"
    for role in (PERSISTENCE, API)
)


class GivenPostgres(PostgresServer):
    """Databases and roles on a server that is there.

    Args:
        url: postgresql://user:password@host:port/database, of somebody who may make databases and roles.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.wanted = True
        self.execute(_MAKE_ROLES)

    @property
    def running(self) -> bool:
        """It is not for us to say otherwise."""
        return True

    def url(self, role: str = PERSISTENCE, database: str = DATABASE) -> str:
        """The address with which a role reaches a database."""
        place = f"{role}:{_PASSWORD}@{self._url.hostname}:{self._url.port or 5432}"
        return urlunsplit(("postgresql", place, f"/{database}", self._url.query, ""))

    def execute(self, sql: str, *, role: str = ADMIN, database: str = "") -> str:
        """Run SQL, each statement in a transaction of its own, as who was named in the address."""
        address = urlunsplit(self._url._replace(path=f"/{database}" if database else self._url.path))
        options = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        command = [str(programs() / "psql"), *options, address]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalError(f"Postgres refused: {done.stderr.strip()}")
        return done.stdout

    def start(self) -> Self:
        """It runs."""
        return self

    def stop(self) -> None:
        """A test that needs this is left out."""
        pytest.skip("TEST_DATABASE_URL names a server that is not ours to stop")

    kill = stop

    def __exit__(self, *_: object) -> None:
        """It goes on."""
