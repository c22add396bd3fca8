"""Starting processes that never outlive us, and ending them."""

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

from infra.local.view import User, make_view

_GRAVE = ("FATAL", "PANIC", "[FTL]", "[ERR]", "rror:", "critical", "can't be started")
_LAUNCH = Path(__file__).with_name("launch.py")

# The kernel's death signal fires when the *thread* that forked ends: all children are forked by this one, which lives
# as long as the process. Callers may start servers from short-lived threads.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = Path("/"),
    user: User | None = None,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
    stdin: bytes | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own (a Ctrl-C in our terminal is not its business), tied to our life.

    It has no capability and can't gain any; root must name the user that it runs as.

    Args:
        command: the program's absolute path, and its arguments.
        log: its standard output and error are appended here.
        env: its whole environment; ours where None.
        cwd: the folder it works in.
        user: who it runs as, if we are root.
        reads: files and folders that the user must reach, wherever they lie; what else is in a closed folder on the
            way is hidden from it.
        writes: the same, of folders of its own.
        stdin: what it reads, at most a pipe's buffer (64 KiB); nothing where None.
        death_signal: what the kernel sends it when we end without having stopped it.

    Raises:
        LocalError: it can't be made to reach what it must.
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
    user: User | None,
    reads: Iterable[Path],
    writes: Iterable[Path],
) -> list[str]:
    """The command that does what `spawn` promises and becomes the given one; see `launch.py`."""
    orders: dict[str, object] = {"parent": parent, "death_signal": int(death_signal), "folder": str(cwd)}
    if user is not None:
        orders |= {"user": (user.uid, user.gid), "groups": user.groups}
        if view := make_view(user, reads, writes):
            orders |= asdict(view)
    return [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(orders), *map(str, command)]


def end(process: subprocess.Popen[bytes], how: signal.Signals, *, patience: float) -> bool:
    """Ask a process to end and wait; what is left of its session after `patience` seconds is killed.

    Returns:
        Whether it ended by itself.
    """
    asked_in_vain = False
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            asked_in_vain = True
    kill_session(process)
    return not asked_in_vain


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL the process and whatever it started itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path) -> str:
    """The line of a log's last ones that tells why a process ended: one line, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "nothing"
    grave = [line for line in lines if any(word in line for word in _GRAVE)]
    return (grave or lines or ["nothing"])[-1].strip()
