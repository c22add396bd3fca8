"""Runs that the replay service carries out: asked for, watched and dropped."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import typer

from contracts.runs import Run, RunPhase, RunProgress
from contracts.streams import RUNS, Owner
from services.cli.console.errors import CommandError
from services.cli.console.signals import on_interrupt
from services.cli.replaying.results import holds
from services.kit.nats.bus import Bus
from services.kit.nats.leases.assignment import is_present
from services.kit.nats.run_entries import NameTaken, ask_to_drop, create_run, find_run, follow_run
from services.kit.retry import BROKER_AWAY, Backoff
from services.kit.tasks import cancel_and_wait

LOOK_EVERY = 5.0
"""Seconds between looks for the replay service, for somebody who waits for a run."""
DROP_TIMEOUT, DELETE_TIMEOUT = 30.0, 10.0
"""Seconds to wait for replay to drop a run, and then for persistence to delete its rows."""

Tell = Callable[[str], None]
Show = Callable[[float], None]


async def check_free(bus: Bus, connection: asyncpg.Connection, name: str) -> None:
    """Check that a name is free for a run.

    Raises:
        CommandError: it is taken, or rows of a dropped run of that name are left.
    """
    if await find_run(bus, name) is not None:
        raise taken(name)
    if await holds(connection, name):
        raise CommandError(
            f"the rows of an earlier run {name!r} are not deleted yet, which persistence does: "
            "choose another name, or wait until persistence is back"
        )


def taken(name: str) -> CommandError:
    """Return the error for a name that a run has."""
    return CommandError(f"there is a run {name!r} already: choose another name, or `metrica runs drop {name}` first")


async def carry_out(bus: Bus, connection: asyncpg.Connection, run: Run, show: Show) -> tuple[Run, RunProgress]:
    """Ask the replay service for a run, and wait for its end. A run that fails is dropped.

    Args:
        bus: the connection to NATS.
        connection: to the database, or a pool.
        run: in the phase `requested`.
        show: shows the part that is done, 0 … 1.

    Raises:
        CommandError: the service is not running, the name is taken, or the run failed or was dropped.
        typer.Exit: Ctrl-C was pressed; the run goes on.
    """
    await require_service(bus)
    try:
        await create_run(bus, run)
    except NameTaken:
        raise taken(run.name) from None
    ended, progress = await wait_for(bus, run.name, show)
    if ended.stands is RunPhase.FAILED:
        await drop(bus, connection, run.name)
        raise CommandError(ended.reason)
    return ended, progress


async def wait_for(bus: Bus, name: str, show: Show) -> tuple[Run, RunProgress]:
    """Wait for the end of a run; tells its notes meanwhile. Returns the run and its progress.

    Raises:
        CommandError: the run was dropped, or there is none of that name.
        typer.Exit: Ctrl-C was pressed; the run goes on.
    """
    told: set[str] = set()
    async with _may_leave(name), _hints(bus):
        async for run, progress in follow_run(bus, name):
            if run is None or run.stands is RunPhase.DROPPING:
                break
            for note in progress.notes:
                if note not in told:
                    told.add(note)
                    tell(note)
            show(progress.done)
            last = run, progress
        else:
            return last
    raise CommandError(f"run {name} was dropped while it was played")


async def drop(bus: Bus, connection: asyncpg.Connection, name: str) -> bool:
    """Drop a run, and wait until it is gone. Returns False if rows of it are left after the timeout.

    Raises:
        CommandError: the replay service does not drop it.
    """
    await require_service(bus)
    await ask_to_drop(bus, name)
    try:
        async with asyncio.timeout(DROP_TIMEOUT):
            while await find_run(bus, name) is not None:
                async for run, _ in follow_run(bus, name):
                    if run is None:
                        break
    except TimeoutError:
        raise CommandError(f"run {name} is to be dropped, and is not yet: look at the log of replay") from None
    backoff, deadline = Backoff(), time.monotonic() + DELETE_TIMEOUT
    while await holds(connection, name):
        if time.monotonic() > deadline:
            return False
        await backoff.wait()
    # Persistence has handled the deleted key, which is no longer needed.
    await bus.js.purge_stream(f"KV_{RUNS.name}", subject=f"$KV.{RUNS.name}.{name}.>")
    return True


async def require_service(bus: Bus) -> None:
    """Check that the replay service is running.

    Raises:
        CommandError: it is not.
    """
    if not await is_present(bus, Owner.REPLAY.value):
        raise CommandError(f"{_ABSENT}: `./taskw up`, or `docker compose up -d replay`")


_ABSENT = "the replay service, which carries out runs, is not running"


def tell(line: str) -> None:
    """Print a line for whoever waits."""
    print(f"metrica: {line}", file=sys.stderr)


@asynccontextmanager
async def _may_leave(name: str) -> AsyncIterator[None]:
    """Let Ctrl-C end the waiting, and not the run.

    Raises:
        typer.Exit: Ctrl-C was pressed.
    """
    task, left = asyncio.current_task(), False

    def leave() -> None:
        nonlocal left
        left = True
        if task is not None:
            task.cancel()

    with on_interrupt(leave):
        try:
            yield
        except asyncio.CancelledError:
            if not left:
                raise
            tell(f"run {name} goes on: `metrica runs watch {name}` waits for it, `metrica runs stop {name}` ends it "
                 f"with its counts so far, `metrica runs drop {name}` removes it")  # fmt: skip
            raise typer.Exit(130) from None


@asynccontextmanager
async def _hints(bus: Bus) -> AsyncIterator[None]:
    """Tell, once, that the replay service is not running."""

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(*BROKER_AWAY):
                if not await is_present(bus, Owner.REPLAY.value):
                    tell(f"{_ABSENT}; the run goes on once it is: `./taskw up`, or `docker compose up -d replay`")
                    return

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        await cancel_and_wait(looking)
