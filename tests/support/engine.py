"""A Docker Engine, where there is one, and compose.yaml's containers on it as a project of a test's own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.local.ports import free_port
from tests.support.record import Row, row
from tests.support.scene import ROOT

TAG = "test"
"""Of the images that tests build: they take nobody's place."""
GRACE = "20"
_LABEL = "com.docker.compose.project"


@cache
def no_engine() -> str | None:
    """The reason for which containers can't be run here; None if they can."""
    for command in (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return "no Docker Engine answers"
        if done.returncode != 0:
            return "no Docker Engine answers" if command[1] == "info" else "Docker has no Compose"
    return None


def docker(*arguments: str, environment: Mapping[str, str] | None = None, within: float = 400.0) -> str:
    """The output of a docker command.

    Args:
        environment: its whole environment; ours where None.
        within: seconds after which it is killed.

    Raises:
        AssertionError: it failed, or did not end in time; holds what it said.
    """
    command = ["docker", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        start_new_session=True,
    ) as running:  # fmt: skip
        try:
            printed, said = running.communicate(timeout=within)
        except BaseException as error:
            # With its child: Compose outlives the command that started it, and then keeps a processor busy for ever.
            os.killpg(running.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            printed, said = running.communicate()
            raise AssertionError(
                f"{' '.join(command)}: no end after {within:g} s: {printed[-1000:]}{said[-3000:]}"
            ) from error
    assert running.returncode == 0, f"{' '.join(command)}: {printed[-1000:]}{said[-3000:]}"
    return printed


@dataclass(frozen=True)
class Project:
    """The containers of compose.yaml under a name of their own, with passwords of their own."""

    name: str
    port: int
    passwords: Path
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """The dashboard, through caddy."""
        return f"http://127.0.0.1:{self.port}"

    def password(self, name: str) -> str:
        """The environment that `new-env` made for a name."""
        return next(
            line.partition("=")[2] for line in self.passwords.read_text().splitlines() if line.startswith(f"{name}=")
        )

    def compose(self, *arguments: str) -> str:
        """The output of a command of docker compose."""
        which = ("--project-name", self.name, "--env-file", str(self.passwords))
        return docker("compose", "--ansi=never", *which, *arguments, environment=self.environment)

    def up(self, replicas: Mapping[str, int] | None = None) -> None:
        """Start what is not there; without a number, one of each service."""
        scales = [f"--scale={service}={count}" for service, count in (replicas or {}).items()]
        self.compose("up", "--detach", "--quiet-pull", *scales)

    def metrica(self, *arguments: str) -> str:
        """The output of the `metrica` command, run as operators run it."""
        return self.compose("run", "--rm", "--no-TTY", "--no-deps", "cli", *arguments)

    def image(self, service: str) -> str:
        """The name of a service's image."""
        return f"metrica/{service}:{TAG}"

    def container(self, service: str, number: int = 1) -> str:
        """The name of a replica's container."""
        return f"{self.name}-{service}-{number}"

    def kill(self, service: str, number: int = 1) -> None:
        """SIGKILL to a replica. As it was killed by hand, the engine does not start it again."""
        docker("kill", self.container(service, number))

    def health(self) -> dict[str, str]:
        """The state of each container that goes on for ever: `healthy`, or what it is instead."""
        shown = [json.loads(line) for line in self.compose("ps", "--all", "--format=json").splitlines()]
        return {one["Name"]: one["Health"] or one["State"] for one in shown if one["Service"] != "migrate"}

    def query(self, sql: str) -> list[list[str]]:
        """The rows that SQL gives, in Postgres's own words."""
        psql = (
            "psql",
            "--username=metrica_admin",
            "--dbname=metrica",
            "--no-align",
            "--tuples-only",
            "--field-separator=\t",
        )
        printed = self.compose("exec", "--no-TTY", "postgres", *psql, f"--command={sql}")
        return [line.split("\t") for line in printed.splitlines()]

    def crossings(self) -> list[Row]:
        """The record, in the order of time."""
        columns = self.query("SELECT id, line, direction, seq, at_ns, place FROM crossing ORDER BY at_ns, id")
        return [row(*column) for column in columns]

    def stored(self, stream: str) -> int:
        """The number of messages that a stream holds now; 0 where it is not there yet."""
        asked = ("wget", "-q", "-O", "-", "http://127.0.0.1:8222/jsz?streams=true")
        accounts = json.loads(self.compose("exec", "--no-TTY", "nats", *asked)).get("account_details", [])
        streams = [one for account in accounts for one in account.get("stream_detail", [])]
        return sum(int(one["state"]["messages"]) for one in streams if one["name"] == stream)

    def left(self) -> dict[str, list[str]]:
        """The parts of the project: containers, volumes and networks."""
        label = f"label={_LABEL}={self.name}"
        listings: dict[str, Sequence[str]] = {
            "containers": ("ps", "--all"), "volumes": ("volume", "ls"), "networks": ("network", "ls"),
        }  # fmt: skip
        return {kind: docker(*command, "--quiet", "--filter", label).split() for kind, command in listings.items()}

    def down(self) -> None:
        """Stop everything in order, and take away what it kept."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", GRACE)


@contextmanager
def project(folder: Path, environment: Mapping[str, str]) -> Iterator[Project]:
    """A project whose containers, volumes and networks are gone at the end, whatever happened.

    Args:
        folder: for its passwords.
        environment: settings that compose.yaml takes, as in .env.
    """
    passwords = folder / "env"
    subprocess.run([ROOT / "infra" / "docker" / "new-env", passwords], check=True, capture_output=True)
    port = free_port()
    own = {"METRICA_TAG": TAG, "METRICA_DASHBOARD_PORT": str(port)}
    made = Project(f"metrica-test-{secrets.token_hex(4)}", port, passwords, {**os.environ, **environment, **own})
    try:
        yield made
    except BaseException:
        print(made.compose("logs", "--no-color", "--tail=40"))  # pytest shows it with the failure
        raise
    finally:
        made.down()
