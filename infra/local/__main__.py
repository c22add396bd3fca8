"""`./taskw up`: run all of Metrica on this machine until Ctrl-C, and print the steps.

python -m infra.local CAMERA=video.mp4 LINE=0.5,0,0.5,1
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contracts.streams import Owner
from infra.local.data_dir.data_dir import check_unused
from infra.local.errors import LocalError
from infra.local.ports import is_free, unprivileged_ports
from infra.local.processes.unprivileged import is_root

if TYPE_CHECKING:
    from infra.local.options import Options

USAGE_ERROR = 2


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until something is started, Ctrl-C ends it without a traceback
    sys.exit(up(sys.argv[1:]))


def up(arguments: Sequence[str]) -> int:
    """Run until a signal arrives, and return the exit code."""
    from infra.local.data_dir.ownership import become_owner
    from infra.local.options import read_options  # brings pydantic: half a second in which Ctrl-C would be a traceback
    from services.kit.http.descriptors import raise_limit

    try:
        raise_limit()  # inherited by all processes
        options = read_options(arguments, os.environ)
        become_owner(options.home, options.camera)
        _check_port(options)
        asyncio.run(_run(options))
    except LocalError as error:
        return _print_error(str(error))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _print_error(f"this machine refuses: {error.strerror or error}{where}; data folder {_home_name()}")
    return 0


async def _run(options: Options) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if name is not signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(name, stopping.set)

    # Imported late, as they bring the database's libraries: a wrong option or a taken port is reported at once.
    from infra.local.camera import check, configure_camera
    from infra.local.outside import check_readable, external_files
    from infra.local.stack import ADMIN_EMAIL, Aborted, Stack
    from infra.local.status_lines import follow_status

    check(options)
    check_readable(options.camera, options.model)
    began, since = time.monotonic(), datetime.now(UTC)
    _tell(f"Metrica starts; its data is in {options.home}")
    stack = Stack(
        options.home,
        port=options.port,
        host=options.host,
        local_access=options.local_access,
        replicas={Owner.DETECTOR: options.detectors},
        tell=_tell_step,
    )
    stack.outside = external_files(options.camera, options.model)
    stack.home.note_owner(stack.url)
    stopped = asyncio.create_task(stopping.wait())
    try:
        starting = asyncio.create_task(asyncio.to_thread(stack.start))
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.is_set():
            _tell("Stopping while it starts …")
            stack.abort()
        await starting
        setup = await configure_camera(stack.api_database_url, options, stack.vault, stack.database_url)
        _tell(f"\nMetrica runs after {time.monotonic() - began:.1f} s: {stack.url}")
        if password := await asyncio.to_thread(stack.make_first_admin):
            _tell("To change anything in the browser or by the API, sign in. This is printed once:")
            _tell(f"  {ADMIN_EMAIL}   {password}   (kept in {stack.admin_password_file})")
        _tell(f"Stop it with Ctrl-C. Logs are in {stack.home.folder / 'logs'}\n")
        async with asyncio.TaskGroup() as tasks:
            statuses = tasks.create_task(follow_status(stack.nats_environment, setup.camera, since, _tell))
            parent = tasks.create_task(_end_with_parent(stopping))
            await stopping.wait()
            statuses.cancel()
            parent.cancel()
    except Aborted:
        pass
    finally:
        stopped.cancel()
        _tell("\nStopping: the services first, then Postgres and nats-server …")
        await asyncio.to_thread(stack.stop)
        _tell("Stopped. The data is kept.")


async def _end_with_parent(stopping: asyncio.Event) -> None:
    """Stop when the parent ends: a killed task runner can't forward a signal."""
    parent = os.getppid()
    while os.environ.get("METRICA_END_WITH_PARENT") and not stopping.is_set():
        await asyncio.sleep(0.5)
        if os.getppid() != parent:
            stopping.set()


def _check_port(options: Options) -> None:
    port = options.port
    if is_root() and port < (first := unprivileged_ports()):
        raise LocalError(
            f"no service runs as root, and ordinary users may not listen on port {port}: "
            f"choose one above {first - 1} by PORT=8081"
        )
    try:
        deadline = time.monotonic() + 2.0  # after a killed run, its API releases the port within a moment
        while not is_free(port):
            if time.monotonic() > deadline:
                check_unused(options.home)  # usually it is this same Metrica
                raise LocalError(
                    f"port {port} is taken by another program: stop that, or choose another port by PORT=8081"
                )
            time.sleep(0.1)
    except PermissionError:
        raise LocalError(f"you may not listen on port {port}: choose one above 1023 by PORT=8081") from None


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # a closed terminal must not prevent stopping
        print(line, flush=True)


def _tell_step(line: str) -> None:
    _tell(f"  {line}")


def _print_error(line: str) -> int:
    print(f"metrica: {line}", file=sys.stderr, flush=True)
    return USAGE_ERROR


def _home_name() -> str:
    return os.environ.get("METRICA_HOME") or ".metrica"


if __name__ == "__main__":
    main()
