"""All of Metrica on one machine without Docker: nats-server, Postgres, migrations and the services as processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from contracts.streams import Owner
from infra.local.data_dir.data_dir import DataDir
from infra.local.data_dir.disk import DiskWatch
from infra.local.errors import LocalError
from infra.local.outside import ExternalFiles, external_files_of_cameras
from infra.local.passwords import load_passwords, write_private
from infra.local.ports import free_port
from infra.local.processes.nats import DEVELOPER, USERS, NatsServer
from infra.local.processes.postgres import API, PERSISTENCE, ROLES, PostgresServer
from infra.local.processes.service import Service
from infra.local.processes.supervisor import Supervisor
from infra.local.processes.unprivileged import is_root, without_roots_own
from infra.local.rehearsal import rehearse
from services.api.auth.first_admin import ensure_first_admin
from services.kit.vault import Vault
from services.persistence.migrate import upgrade

READY_TIMEOUT = 60.0
DATABASE_ROLES = {Owner.PERSISTENCE: PERSISTENCE, Owner.API: API}
_PATHS = ("METRICA_MODELS", "METRICA_VIDEOS", "METRICA_CACHE")
_FOREIGN = (
    *("METRICA_DATABASE_URL", "METRICA_SECRET_KEY"),
    *("METRICA_NATS_TLS_CA", "METRICA_NATS_TLS_CERT", "METRICA_NATS_TLS_KEY"),
)
"""Settings that, if present, belong to another Metrica than this one."""
_OPENS_SEALED = (Owner.API, Owner.INGEST)
ADMIN_EMAIL = "admin@metrica.local"
T = TypeVar("T")


class Aborted(Exception):
    """The start was aborted."""


class Stack:
    """The servers and services, started and stopped together; each can also be stopped, killed and started alone.

        with Stack(tmp_path, replicas={Owner.DETECTOR: 2}, restart=False) as stack:
            asyncio.run(ensure_camera(stack.api_database_url, …))
            stack.services["tracker"].kill()
            stack.services["tracker"].start()

    The methods block; in asynchronous code use `asyncio.to_thread`.

    Args:
        folder: for all data; may contain an earlier run's.
        port: of the dashboard and the API; 0 for a free one.
        host: address on which the API listens; 0.0.0.0 admits other machines, and needs `local_access` none.
        local_access: role without sign-in on this machine: `viewer` or `none`.
        replicas: number of replicas of each service, one by default; they are named `detector`, `detector-2` …
        environment: further settings of the services, with priority over those of this process.
        restart: True to restart processes that die.
        durable: False omits Postgres's syncs to disk, for tests.
        tell: prints a line for each step and each death.

    Raises:
        LocalError: the folder is unusable, or another stack runs there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        local_access: str = "viewer",
        replicas: Mapping[Owner, int] | None = None,
        environment: Mapping[str, str] | None = None,
        restart: bool = True,
        durable: bool = True,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.home = DataDir(folder)
        self._tell, self._extra = tell, dict(environment or {})
        self._ending = threading.Event()
        secrets = self.home.secrets
        self._secret_key = load_passwords(secrets, "metrica", ["secret-key"])["secret-key"]
        self.nats = NatsServer(
            self.home.nats,
            load_passwords(secrets, "nats", USERS),
            port=self.home.port("nats"),
            log=self.home.begin_log("nats"),
        )
        self.postgres = PostgresServer(
            self.home.postgres,
            load_passwords(secrets, "postgres", ROLES),
            port=self.home.port("postgres"),
            log=self.home.begin_log("postgres"),
            durable=durable,
        )
        self._disk = DiskWatch(self.home.folder, tell, self.nats.kill)
        self.port = port or free_port()
        self._api = {"METRICA_HOST": host, "METRICA_LOCAL_ACCESS": local_access}
        if host != "127.0.0.1":
            self._api["METRICA_HOSTS"] = os.environ.get("METRICA_HOSTS") or ",".join(own_names())
        self.services = self._make_services(replicas or {})
        self.outside = ExternalFiles()
        """Files that services must reach, in addition to those of the configured cameras."""
        self._supervisor: Supervisor | None = None
        self._restart = restart

    @property
    def url(self) -> str:
        """The address of the dashboard and the API."""
        return f"http://localhost:{self.port}"

    @property
    def nats_url(self) -> str:
        """The address of NATS; `nats_environment` has a user for it."""
        return self.nats.url

    @property
    def nats_environment(self) -> dict[str, str]:
        """METRICA_NATS_URL, METRICA_NATS_USER and METRICA_NATS_PASSWORD of a user with all permissions."""
        return self.nats.environment(DEVELOPER)

    @property
    def database_url(self) -> str:
        """The database's address for persistence's role."""
        return self.postgres.url(PERSISTENCE)

    @property
    def vault(self) -> Vault:
        """The vault that seals the cameras' addresses."""
        return Vault(self._secret_key)

    @property
    def admin_password_file(self) -> Path:
        """The file with the first superadmin's password."""
        return self.home.secrets / "admin-password"

    def make_first_admin(self) -> str | None:
        """Make a superadmin if there is no user yet, and return the password; else None."""
        known = self.admin_password_file.exists()
        password = load_passwords(self.home.secrets, "admin", ["password"])["password"]  # saved before it is used
        if run_in_thread(ensure_first_admin(self.api_database_url, ADMIN_EMAIL, password)):
            return password
        if not known:
            self.admin_password_file.unlink()  # no user has it
        return None

    @property
    def api_database_url(self) -> str:
        """The database's address for the API's role, which may write the configuration."""
        return self.postgres.url(API)

    def start(self) -> Self:
        """Start everything and wait until every service is ready.

        Raises:
            LocalError: a process does not start; with its name and the reason.
            Aborted: `abort` was called meanwhile.
        """
        try:
            self.start_servers()
            self.start_services()
        except BaseException:  # also Ctrl-C: processes that have started must not stay
            self.stop()
            raise
        return self

    def start_servers(self) -> None:
        """Start NATS, and Postgres with the present schema."""
        self._check_aborted()
        rehearse([*self.outside.videos, *self.outside.models], [self.home.folder], self.home.begin_log("start"))
        self._step(self.nats.start, "nats-server is up")
        self._step(self.postgres.start, "Postgres is up")
        self._step(self._migrate, "the database has the present schema")
        self._write_developer_environment()

    def start_services(self) -> None:
        """Start all services at once, and wait until all are ready."""
        outside = self.outside + self._outside_of_cameras()
        for service in self.services.values():
            self._check_aborted()
            service.reads = {Owner.INGEST: outside.videos, Owner.DETECTOR: outside.models}.get(service.owner, ())
            service.start()
        waiting = dict(self.services)
        deadline = time.monotonic() + READY_TIMEOUT
        while waiting:
            self._check_aborted()
            for name, service in list(waiting.items()):
                if not service.running or time.monotonic() > deadline:
                    service.wait_ready(0)  # raises with the reason
                if service.ready():
                    del waiting[name]
                    self._tell(f"{name} is ready")
            time.sleep(0.05)
        if self._restart:
            self._supervisor = Supervisor(
                [self.nats, self.postgres, *self.services.values()], self._tell, self._do_chores
            )
            self._supervisor.start()

    def abort(self) -> None:
        """Abort a `start` in another thread."""
        self._ending.set()

    def stop(self) -> None:
        """Stop everything in order: each service hands over its work before the next one ends."""
        self._ending.set()
        if self._supervisor is not None:
            self._supervisor.stop()
        for owner in Owner:
            replicas = [service for service in self.services.values() if service.owner is owner]
            for service in replicas:
                service.ask_to_stop()
            for service in replicas:
                service.stop()
        self.postgres.stop()
        self.nats.stop()
        self.home.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make_services(self, replicas: Mapping[Owner, int]) -> dict[str, Service]:
        named: list[tuple[str, Owner, int]] = []
        for owner in Owner:
            for number in range(1, replicas.get(owner, 1) + 1):
                name = owner.value if number == 1 else f"{owner.value}-{number}"
                named.append((name, owner, self.port if name == Owner.API.value else self.home.port(name)))
        own = [self.nats.port, self.postgres.port, *(port for _, _, port in named)]
        services: dict[str, Service] = {}
        for name, owner, port in named:
            environment = self._environment(owner, port) | {"METRICA_REPLICA": name}
            if owner is Owner.INGEST:  # which must not open these addresses as cameras
                addresses = [environment.get("METRICA_OWN_SERVICES", ""), *(f"127.0.0.1:{each}" for each in own)]
                environment["METRICA_OWN_SERVICES"] = ",".join(filter(None, addresses))
            models = self.home.models if is_root() and owner is Owner.DETECTOR else None
            services[name] = Service(name, owner, environment, port, self.home.begin_log(name), models)
        return services

    def _environment(self, owner: Owner, port: int) -> dict[str, str]:
        environment = {**os.environ, **self._extra}
        for name in _PATHS:  # relative to the working directory
            if places := environment.get(name):
                environment[name] = os.pathsep.join(str(Path(place).absolute()) for place in places.split(os.pathsep))
        environment = self._for_its_user(owner, environment)
        environment |= self.nats.environment(owner.value)
        environment |= {"METRICA_HOST": "127.0.0.1", "METRICA_PORT": str(port), "METRICA_LOG_FORMAT": "json"}
        for name in _FOREIGN:
            environment.pop(name, None)
        if role := DATABASE_ROLES.get(owner):
            environment["METRICA_DATABASE_URL"] = self.postgres.url(role)
        if owner is Owner.API:
            environment |= self._api
        else:
            environment.pop("METRICA_SMTP_PASSWORD", None)  # for the API only
        if owner in _OPENS_SEALED:
            environment["METRICA_SECRET_KEY"] = self._secret_key
        return environment

    def _for_its_user(self, owner: Owner, environment: dict[str, str]) -> dict[str, str]:
        """Remove root's own variables. The detector reads models from root's cache, and downloads to its own folder."""
        if not is_root():
            return environment
        home = self.home.models if owner is Owner.DETECTOR else None
        if home is not None:
            cache = Path(environment.get("METRICA_CACHE") or Path.home() / ".cache" / "metrica").expanduser()
            with contextlib.suppress(OSError):  # made in advance, so that the detector sees later downloads by root
                cache.mkdir(parents=True, exist_ok=True)
            environment |= {"METRICA_SHARED_CACHE": str(cache.absolute()), "METRICA_CACHE": str(home)}
        return without_roots_own(environment, home)

    def _outside_of_cameras(self) -> ExternalFiles:
        if not is_root():
            return ExternalFiles()
        return run_in_thread(external_files_of_cameras(self.api_database_url, self.vault))

    def _write_developer_environment(self) -> None:
        lines = {
            **self.nats_environment,
            "METRICA_DATABASE_URL": self.api_database_url,
            "METRICA_SECRET_KEY": self._secret_key,
            "METRICA_PERSISTENCE_DATABASE_URL": self.database_url,
            "METRICA_PUBLIC_URL": os.environ.get("METRICA_PUBLIC_URL") or self.url,
        }
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        write_private(self.home.developer_environment, text)

    def _do_chores(self) -> None:
        self._disk.look()
        self.home.bound_logs()

    def _migrate(self) -> None:
        run_in_thread(upgrade(self.database_url))

    def _step(self, work: Callable[[], object], done: str) -> None:
        self._check_aborted()
        began = time.monotonic()
        work()
        self._tell(f"{done} ({time.monotonic() - began:.1f} s)")

    def _check_aborted(self) -> None:
        if self._ending.is_set():
            raise Aborted


def own_names() -> list[str]:
    """Return the names and the address by which other machines probably reach this one."""
    names = {socket.gethostname(), socket.getfqdn()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing, but selects the source address
        names.add(probe.getsockname()[0])
    return sorted(names)


def run_in_thread(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine from synchronous code that may itself run in an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


__all__ = ["Aborted", "LocalError", "Stack"]
