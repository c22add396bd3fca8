"""All of Metrica on this machine: nats-server, Postgres, migrations and the services as processes, without Docker."""

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
from infra.local.data_dir.data_dir import Home
from infra.local.data_dir.disk import DiskWatch
from infra.local.data_dir.passwords import load_passwords, write_private
from infra.local.errors import LocalError
from infra.local.outside import Outside, named_by_cameras
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
_ANOTHERS = (
    *("METRICA_DATABASE_URL", "METRICA_SECRET_KEY"),
    *("METRICA_NATS_TLS_CA", "METRICA_NATS_TLS_CERT", "METRICA_NATS_TLS_KEY"),
)
"""Settings that are of another Metrica than this one, if they are there."""
_OPENS_SEALED = (Owner.API, Owner.INGEST)
ADMIN_EMAIL = "admin@metrica.local"
T = TypeVar("T")


class Aborted(Exception):
    """`stop` was called while the stack started."""


class Stack:
    """The servers and services, started and stopped together; each can be reached, killed and started alone.

        with Stack(tmp_path, replicas={Owner.DETECTOR: 2}, restart=False) as stack:
            asyncio.run(ensure_camera(stack.api_database_url, …))
            stack.services["tracker"].kill()
            stack.services["tracker"].start()

    Its calls block; in asynchronous code use `asyncio.to_thread`.

    Args:
        folder: all data; may hold an earlier run's.
        port: of the dashboard and the API; 0 takes a free one.
        host: where the API listens; 0.0.0.0 lets other machines in, and takes `local_access` none.
        local_access: what somebody at this machine may do without signing in: `viewer` or `none`.
        replicas: how many of each service, one where nothing is said; they are named `detector`, `detector-2` …
        environment: further settings of the services, over those of this process.
        restart: start again what dies.
        durable: False saves Postgres's syncs to disk, for tests.
        tell: gets a line for each step and each death.

    Raises:
        LocalError: the folder can't be used, or another stack runs there.
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
        self.home = Home(folder)
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
        self.outside = Outside()
        """Files that services must reach, besides those of the cameras that are there already."""
        self._supervisor: Supervisor | None = None
        self._restart = restart

    @property
    def url(self) -> str:
        """The dashboard's address, and the API's."""
        return f"http://localhost:{self.port}"

    @property
    def nats_url(self) -> str:
        """The address of NATS; `nats_environment` has the user to it."""
        return self.nats.url

    @property
    def nats_environment(self) -> dict[str, str]:
        """METRICA_NATS_URL, METRICA_NATS_USER and METRICA_NATS_PASSWORD of a user who may do everything."""
        return self.nats.environment(DEVELOPER)

    @property
    def database_url(self) -> str:
        """The database as persistence reaches it."""
        return self.postgres.url(PERSISTENCE)

    @property
    def vault(self) -> Vault:
        """What seals and opens the passwords of cameras."""
        return Vault(self._secret_key)

    @property
    def admin_password_file(self) -> Path:
        """Where the first superadmin's password stands."""
        return self.home.secrets / "admin-password"

    def make_first_admin(self) -> str | None:
        """Make a superadmin where there is no user yet; returns the password then, and never again."""
        known = self.admin_password_file.exists()
        password = load_passwords(self.home.secrets, "admin", ["password"])["password"]  # kept before it is needed
        if run_apart(ensure_first_admin(self.api_database_url, ADMIN_EMAIL, password)):
            return password
        if not known:
            self.admin_password_file.unlink()  # it would be nobody's
        return None

    @property
    def api_database_url(self) -> str:
        """The database as the API reaches it: it may write the configuration."""
        return self.postgres.url(API)

    def start(self) -> Self:
        """Start everything and wait until every service is ready.

        Raises:
            LocalError: something does not start; says what and why.
            Aborted: `abort` was called meanwhile.
        """
        try:
            self.start_servers()
            self.start_services()
        except BaseException:  # also Ctrl-C: what has started by then must not stay
            self.stop()
            raise
        return self

    def start_servers(self) -> None:
        """NATS, and Postgres with the present schema."""
        self._abort_if_asked()
        rehearse([*self.outside.videos, *self.outside.models], [self.home.folder], self.home.begin_log("start"))
        self._step(self.nats.start, "nats-server is up")
        self._step(self.postgres.start, "Postgres is up")
        self._step(self._migrate, "the database has the present schema")
        self._write_developer_environment()

    def start_services(self) -> None:
        """The services, all at once; returns when all are ready."""
        outside = self.outside + self._outside_of_cameras()
        for service in self.services.values():
            self._abort_if_asked()
            service.reads = {Owner.INGEST: outside.videos, Owner.DETECTOR: outside.models}.get(service.owner, ())
            service.start()
        waiting = dict(self.services)
        deadline = time.monotonic() + READY_TIMEOUT
        while waiting:
            self._abort_if_asked()
            for name, service in list(waiting.items()):
                if not service.running or time.monotonic() > deadline:
                    service.wait_ready(0)  # says what is wrong
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
        """Let a `start` under way in another thread end soon."""
        self._ending.set()

    def stop(self) -> None:
        """Stop everything in order: each service has handed over its work when the next one ends."""
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
            if owner is Owner.INGEST:  # no camera's address leads to one of these
                said = [environment.get("METRICA_OWN_SERVICES", ""), *(f"127.0.0.1:{one}" for one in own)]
                environment["METRICA_OWN_SERVICES"] = ",".join(filter(None, said))
            models = self.home.models if is_root() and owner is Owner.DETECTOR else None
            services[name] = Service(name, owner, environment, port, self.home.begin_log(name), models)
        return services

    def _environment(self, owner: Owner, port: int) -> dict[str, str]:
        environment = {**os.environ, **self._extra}
        for name in _PATHS:  # they are meant from where the command was given
            if places := environment.get(name):
                environment[name] = os.pathsep.join(str(Path(place).absolute()) for place in places.split(os.pathsep))
        environment = self._for_its_user(owner, environment)
        environment |= self.nats.environment(owner.value)
        environment |= {"METRICA_HOST": "127.0.0.1", "METRICA_PORT": str(port), "METRICA_LOG_FORMAT": "json"}
        for name in _ANOTHERS:
            environment.pop(name, None)
        if role := DATABASE_ROLES.get(owner):
            environment["METRICA_DATABASE_URL"] = self.postgres.url(role)
        if owner is Owner.API:
            environment |= self._api
        else:
            environment.pop("METRICA_SMTP_PASSWORD", None)  # it is nobody else's
        if owner in _OPENS_SEALED:
            environment["METRICA_SECRET_KEY"] = self._secret_key
        return environment

    def _for_its_user(self, owner: Owner, environment: dict[str, str]) -> dict[str, str]:
        """Leave out what is root's own. Models that root has fetched are used; where root writes, nobody else does."""
        if not is_root():
            return environment
        home = self.home.models if owner is Owner.DETECTOR else None
        if home is not None:
            cache = Path(environment.get("METRICA_CACHE") or Path.home() / ".cache" / "metrica").expanduser()
            with contextlib.suppress(OSError):  # so that the detector sees what is fetched into it later
                cache.mkdir(parents=True, exist_ok=True)
            environment |= {"METRICA_SHARED_CACHE": str(cache.absolute()), "METRICA_CACHE": str(home)}
        return without_roots_own(environment, home)

    def _outside_of_cameras(self) -> Outside:
        return run_apart(named_by_cameras(self.api_database_url, self.vault)) if is_root() else Outside()

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
        run_apart(upgrade(self.database_url))

    def _step(self, work: Callable[[], object], done: str) -> None:
        self._abort_if_asked()
        began = time.monotonic()
        work()
        self._tell(f"{done} ({time.monotonic() - began:.1f} s)")

    def _abort_if_asked(self) -> None:
        if self._ending.is_set():
            raise Aborted


def own_names() -> list[str]:
    """The names and the address by which other machines most likely call this one."""
    names = {socket.gethostname(), socket.getfqdn()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # nothing is sent; the system says from where it would be
        names.add(probe.getsockname()[0])
    return sorted(names)


def run_apart(work: Coroutine[object, object, T]) -> T:
    """Run asynchronous work from code that may itself be called from an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


__all__ = ["Aborted", "LocalError", "Stack"]
