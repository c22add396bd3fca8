"""The data folder of a local Metrica: its layout, its lock, and checks that it is usable.

secrets/       passwords, one file each (0700, files 0600)
nats/          JetStream's files
postgres/      the database
models/        models that the detector downloads, if started by root, whose cache it may not use
logs/          one log per process, the previous run's beside it as .log.1
ports.json     the chosen ports, kept between runs
developer.env  addresses and passwords for the command line (0600)
lock           locked while it runs
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from pathlib import Path

from infra.local.errors import LocalError
from infra.local.ports import free_port, is_free
from infra.local.processes.unprivileged import POSTGRES_ACCOUNTS, account, is_root

MIN_FREE_DISK = 512 * 1024 * 1024
"""Bytes. A fresh Postgres takes 60 MB; with less than this, errors would begin within a camera's first hours."""
LOG_LIMIT = 16 * 1024 * 1024


class DataDir:
    """A data folder, locked for one stack at a time.

    Raises:
        LocalError: another stack runs here, or the folder is unusable; with the remedy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.secrets = self.folder / "secrets"
        self.nats = self.folder / "nats"
        self.postgres = self.folder / "postgres"
        self.models = self.folder / "models"
        self.developer_environment = self.folder / "developer.env"
        self._logs = self.folder / "logs"
        self._ports = self.folder / "ports.json"
        self._make_usable()
        self._lock = self._locked()

    def release(self) -> None:
        """Release the lock, so that another stack can use the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self._logs / f"{name}.log"

    def begin_log(self, name: str) -> Path:
        """Make an empty log for a process; the previous one is kept as `.log.1`."""
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        return log

    def bound_logs(self) -> None:
        """Truncate logs that have grown too long; their contents are kept as `.log.1`."""
        for log in self._logs.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)  # its writer appends, and continues at the new end

    def port(self, name: str) -> int:
        """Choose a free port for a process: the one of the last run, if it is still free."""
        ports = self._known_ports()
        port = ports.get(name, 0)
        if not port or not _soon_free(port):
            port = ports[name] = free_port()
            self._ports.write_text(json.dumps(ports, indent=2))
        return port

    def note_owner(self, address: str) -> None:
        """Write our process id and address into the lock, for the error message of another stack."""
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()} {address}\n".encode(), 0)

    def _known_ports(self) -> dict[str, int]:
        try:
            known = json.loads(self._ports.read_text())
            return {str(name): int(port) for name, port in known.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _make_usable(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, self._logs, self.nats, self.postgres):
                folder.mkdir(exist_ok=True)
                probe = folder / ".writable"
                probe.write_bytes(b"")
                probe.unlink()
            _check_owner(self.nats / "jetstream", self.postgres / "data", self.folder / "secrets")
        except OSError as error:
            if not is_root() and (foreign := _foreign_owner(error.filename)):
                place, owner = foreign
                raise LocalError(
                    f"{place} belongs to {owner}, who started Metrica here before: start it as {owner} again, "
                    f"or make all yours (sudo chown -R $(id -u):$(id -g) {self.folder})"
                ) from None
            raise LocalError(
                f"the data folder {self.folder} can't be used: {error.strerror} ({error.filename}); "
                "make it writable for you, or name another by METRICA_HOME=/path/to/folder"
            ) from None
        free = shutil.disk_usage(self.folder).free
        if free < MIN_FREE_DISK:
            raise LocalError(
                f"only {free // 2**20} MB are free on the disk of {self.folder}, and Metrica needs "
                f"{MIN_FREE_DISK // 2**20} MB: free some, or name a folder elsewhere by METRICA_HOME=/path/to/folder"
            )

    def _locked(self) -> int:
        path = self.folder / "lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LocalError(f"{path} can't be opened: {error.strerror}; delete it, or make it yours") from None
        try:
            _acquire(lock, self.folder)
        except LocalError:
            os.close(lock)
            raise
        return lock


def _check_owner(*folders: Path) -> None:
    """Check that existing folders belong to us; root may change their owners."""
    for folder in folders:
        if not is_root() and folder.exists() and folder.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _foreign_owner(path: str | None) -> tuple[Path, str] | None:
    """Return a file, or its folder, with the name of its owner, if that is another user."""
    for place in (Path(path), Path(path).parent) if path else ():
        try:
            uid = place.stat().st_uid
        except OSError:
            continue
        if uid == os.geteuid():
            return None
        known = account(uid)
        # The users of services have no account, or Postgres's: so root has started them.
        return place, known.pw_name if known and known.pw_name not in POSTGRES_ACCOUNTS else "root"
    return None


def check_unused(folder: Path) -> None:
    """Check that no stack runs from a data folder, which need not exist.

    Raises:
        LocalError: one does; with its address, and how to stop it.
    """
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _acquire(lock, folder.absolute())
    finally:
        os.close(lock)


def _acquire(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, address = os.pread(lock, 200, 0).decode(errors="replace").strip().partition(" ")
        raise LocalError(
            f"Metrica runs already from {folder}, on {address or 'its way up'}: use it, "
            f"or stop it first (kill {pid or 'its process'})"
        ) from None


def _soon_free(port: int, timeout: float = 1.0) -> bool:
    """Tell if a port is free, or becomes free within the timeout, as after the kill of an earlier run."""
    deadline = time.monotonic() + timeout
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
