"""The data folder of a local Metrica: what lies where, and whether it can be used.

secrets/       passwords, one file each (0700, files 0600)
nats/          JetStream's files
postgres/      the database
models/        models that the detector downloads, if it may not use the cache of who started it (root)
logs/          one log per process, the previous run's beside it as .log.1
ports.json     the ports that were chosen, kept between runs
developer.env  addresses and passwords for the command line (0600)
lock           held while it runs
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

ENOUGH_DISK = 512 * 1024 * 1024
"""Bytes. A fresh Postgres takes 60 MB; below this, the first hours of a camera would end in errors."""
LOG_LIMIT = 16 * 1024 * 1024


class Home:
    """A data folder, locked for one stack at a time.

    Raises:
        LocalError: another stack runs here, or the folder can't be used; the message says what to do.
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
        """Let another stack use the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self._logs / f"{name}.log"

    def begin_log(self, name: str) -> Path:
        """An empty log for a process; the one before is kept as `.log.1`."""
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        return log

    def bound_logs(self) -> None:
        """Start the logs anew that have grown too long; what they held is kept as `.log.1`."""
        for log in self._logs.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)  # its writer appends: it goes on at the new end

    def port(self, name: str) -> int:
        """A free port for a process: the same as in the last run, if it is still free."""
        ports = self._known_ports()
        port = ports.get(name, 0)
        if not port or not _soon_free(port):
            port = ports[name] = free_port()
            self._ports.write_text(json.dumps(ports, indent=2))
        return port

    def note_owner(self, address: str) -> None:
        """Say in the lock who holds it, for whom it turns away."""
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
            _check_theirs(self.nats / "jetstream", self.postgres / "data", self.folder / "secrets")
        except OSError as error:
            if not is_root() and (found := _somebody_elses(error.filename)):
                place, owner = found
                raise LocalError(
                    f"{place} belongs to {owner}, who started Metrica here before: start it as {owner} again, "
                    f"or make all yours (sudo chown -R $(id -u):$(id -g) {self.folder})"
                ) from None
            raise LocalError(
                f"the data folder {self.folder} can't be used: {error.strerror} ({error.filename}); "
                "make it writable for you, or name another by METRICA_HOME=/path/to/folder"
            ) from None
        free = shutil.disk_usage(self.folder).free
        if free < ENOUGH_DISK:
            raise LocalError(
                f"only {free // 2**20} MB are free on the disk of {self.folder}, and Metrica needs "
                f"{ENOUGH_DISK // 2**20} MB: free some, or name a folder elsewhere by METRICA_HOME=/path/to/folder"
            )

    def _locked(self) -> int:
        path = self.folder / "lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LocalError(f"{path} can't be opened: {error.strerror}; delete it, or make it yours") from None
        try:
            _hold(lock, self.folder)
        except LocalError:
            os.close(lock)
            raise
        return lock


def _check_theirs(*folders: Path) -> None:
    """Make sure that folders, where they are, are those of who starts: root gives them to whom it wants."""
    for folder in folders:
        if not is_root() and folder.exists() and folder.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _somebody_elses(path: str | None) -> tuple[Path, str] | None:
    """A file, or the folder that it would be in, and the name of its owner, where that is somebody else."""
    for place in (Path(path), Path(path).parent) if path else ():
        try:
            uid = place.stat().st_uid
        except OSError:
            continue
        if uid == os.geteuid():
            return None
        known = account(uid)
        # The users of our services have no account, or Postgres's: root has started them.
        return place, known.pw_name if known and known.pw_name not in POSTGRES_ACCOUNTS else "root"
    return None


def check_unused(folder: Path) -> None:
    """Make sure that no stack runs from a data folder, which need not exist.

    Raises:
        LocalError: one does; says where, and how to stop it.
    """
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _hold(lock, folder.absolute())
    finally:
        os.close(lock)


def _hold(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, address = os.pread(lock, 200, 0).decode(errors="replace").strip().partition(" ")
        raise LocalError(
            f"Metrica runs already from {folder}, on {address or 'its way up'}: use it, "
            f"or stop it first (kill {pid or 'its process'})"
        ) from None


def _soon_free(port: int, patience: float = 1.0) -> bool:
    """Whether a port is free, or is let go within a moment by a server of a killed run."""
    deadline = time.monotonic() + patience
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
