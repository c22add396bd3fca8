"""`./taskw up` as people meet it: a process that starts everything, says so, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from contracts.streams import Owner
from infra.local.ports import free_port


class Up:
    """A running `python -m infra.local`."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.output = home.parent / f"up-{time.monotonic_ns()}.txt"
        environment = {**os.environ, "METRICA_HOME": str(home)}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.local", *arguments], stdout=out, stderr=out, env=environment
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_until_it_says(self, words: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def everything(self) -> list[psutil.Process]:
        """It and all its processes."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]


@contextmanager
def _up(home: Path, *arguments: str) -> Iterator[Up]:
    running = Up(home, *arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: to start again on what an earlier run left is part of the story."""
    return tmp_path_factory.mktemp("up") / "a folder with spaces"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_however_it_ends_it_leaves_no_process(home: Path, how: signal.Signals) -> None:
    port, first = free_port(), not (home / "secrets" / "admin-password").exists()
    with _up(home, f"PORT={port}") as running:
        running.wait_until_it_says("Stop it with Ctrl-C")
        assert f"http://localhost:{port}" in running.said
        _check_admin(home, port, running.said, first=first)
        everything = running.everything()
        assert sum("services." in " ".join(process.cmdline()) for process in everything) == len(Owner)
        listening = {
            connection.laddr.ip
            for process in everything
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        for wish in (f"PORT={port}", f"PORT={free_port()}"):
            with _up(home, wish) as second:
                assert second.process.wait(30) == 2
                assert f"runs already from {home}, on http://localhost:{port}" in second.said
        running.process.send_signal(how)
        code = running.process.wait(40)
        _, alive = psutil.wait_procs(everything, timeout=5)
        assert not alive
        if how is not signal.SIGKILL:
            assert code == 0
            assert "The data is kept" in running.said


def _check_admin(home: Path, port: int, said: str, *, first: bool) -> None:
    """The first superadmin's password: told once, kept for its owner's eyes, in no log, and good to sign in with."""
    kept = home / "secrets" / "admin-password"
    password = kept.read_text().strip()
    assert (password in said) is first
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not any(password in log.read_text(errors="replace") for log in (home / "logs").iterdir())
    body = json.dumps({"email": "admin@metrica.local", "password": password, "keep": "token"}).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"http://localhost:{port}/v1/auth/sign-in", body, headers)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert json.load(answer)["token_type"] == "Bearer"


def test_a_stop_while_it_starts_leaves_nothing_either(home: Path) -> None:
    with _up(home, f"PORT={free_port()}") as running:
        running.wait_until_it_says("Metrica starts")
        everything = running.everything()
        running.process.terminate()
        assert running.process.wait(40) == 0
        _, alive = psutil.wait_procs(everything, timeout=5)
        assert not alive


def test_ctrl_c_before_anything_has_started_just_ends_it(tmp_path: Path) -> None:
    with _up(tmp_path / "home") as running:
        for caught in (True, False):  # by Python at first, which would end in a traceback; then by nobody
            while _catches_ctrl_c(running.process.pid) != caught:
                assert running.process.poll() is None, running.said
                time.sleep(0.001)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == -signal.SIGINT
        assert running.said == ""


def _catches_ctrl_c(pid: int) -> bool:
    (mask,) = re.findall(r"^SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("PORT={taken}", "port {taken} is taken by another program: stop that, or choose another port"),
        ("HOST=0.0.0.0", "METRICA_LOCAL_ACCESS=none"),
        ("METRICA_HOME=/proc/metrica", "the data folder /proc/metrica can't be used"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_one_line(tmp_path: Path, argument: str, told: str, taken: int) -> None:
    with _up(tmp_path / "home", argument.format(taken=taken)) as refused:
        assert refused.process.wait(30) == 2
        (line,) = [line for line in refused.said.splitlines() if not line.startswith("Metrica starts")]
        assert line.startswith("metrica: ")
        assert told.format(taken=taken) in line


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]
