"""Starting and ending of processes that never outlive this one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from infra.local.view import SystemUser, plan_mounts

_ERROR_WORDS = ("FATAL", "PANIC", "[FTL]", "[ERR]", "rror:", "critical", "can't be started")
_LAUNCH = Path(__file__).with_name("launch.py")

# The kernel sends the death signal when the forking *thread* ends. So all children are forked by this one, which lives
# as long as the process; callers may start servers from short-lived threads.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = Path("/"),
    user: SystemUser | None = None,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
    stdin: bytes | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, out of reach of the terminal's Ctrl-C, and tied to this process's life.

    It has no capability and can't gain any. Root must name the user that it runs as.

    Args:
        command: the program's absolute path, and its arguments.
        log: file to which its standard output and error are appended.
        env: its whole environment; None for a copy of ours.
        cwd: its working directory.
        user: the user that it runs as, if we are root.
        reads: files and folders that it must read. Other contents of closed folders on the way are hidden from it.
        writes: folders that it must write, likewise.
        stdin: its standard input, at most a pipe's buffer (64 KiB); None for no input.
        death_signal: signal from the kernel if this process ends without stopping it.

    Raises:
        LocalError: a file is unreachable for the user.
    """
    full = launch_command(
        command, parent=os.getpid(), death_signal=death_signal, cwd=cwd, user=user, reads=reads, writes=writes
    )

    def fork() -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                full,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=None if env is None else dict(env),
                cwd="/",
                start_new_session=True,
            )

    process = _forker.submit(fork).result()
    if stdin is not None and process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(stdin)
    return process


def launch_command(
    command: Sequence[str | Path],
    *,
    parent: int,
    death_signal: int,
    cwd: Path,
    user: SystemUser | None,
    reads: Iterable[Path],
    writes: Iterable[Path],
) -> list[str]:
    """Return the command that executes the given one under the conditions of `spawn`; see `launch.py`."""
    orders: dict[str, object] = {"parent": parent, "death_signal": int(death_signal), "folder": str(cwd)}
    if user is not None:
        orders |= {"user": (user.uid, user.gid), "groups": user.groups}
        if mounts := plan_mounts(user, reads, writes):
            orders |= asdict(mounts)
    return [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(orders), *map(str, command)]


def end(process: subprocess.Popen[bytes], stop_signal: signal.Signals, *, timeout: float) -> None:
    """Send a signal to a process and wait; after `timeout` seconds, kill the rest of its session."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
    kill_session(process)


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to the process and to all processes of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path) -> str:
    """Find the line at the end of a log that gives the reason for a process's end; for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "nothing"
    errors = [line for line in lines if any(word in line for word in _ERROR_WORDS)]
    return (errors or lines or ["nothing"])[-1].strip()
