"""Runs of a segment's file, which only this machine can read: the command feeds them itself, and they end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from contracts.runs import Run, RunPhase, run_key
from contracts.streams import RUNS
from services.cli.console.errors import CommandError
from services.cli.console.signals import on_interrupt
from services.cli.replaying.requesting import Show, taken, tell
from services.cli.replaying.segment import SegmentHistory
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.run_entries import NameTaken, change_run, create_run
from services.kit.tasks import cancel_and_wait
from services.replay.history import now_ns
from services.replay.lifecycle import close_run, drop_run, make_streams
from services.replay.planning import spec_in_run
from services.replay.runner import Replay

SHOW_EVERY = 0.2

T = TypeVar("T")


async def feed_here(bus: Bus, run: Run, past: SegmentHistory, begin: int, show: Show) -> Run:
    """Feed a run from a segment, and wait for its end. Ctrl-C ends it in order, a second one leaves it as it is.

    Args:
        bus: the connection to NATS.
        run: without a request, in the phase `running`.
        past: the segment.
        begin: captured_at of the first frame to feed, ns UTC.
        show: shows the part that is done, 0 … 1.

    Raises:
        CommandError: the name is taken, or the run was dropped meanwhile.
        RunError: the run cannot be carried out; it is removed.
    """
    await make_streams(bus, run)
    try:
        await create_run(bus, run)
    except NameTaken:
        raise taken(run.name) from None
    replay = Replay(bus, run, past, lambda spec: spec_in_run(run, spec), begin=begin)
    showing = asyncio.create_task(_show(replay, show))
    try:
        with on_interrupt(_interrupter(replay.stop, run.name)):
            ended = await _unless_dropped(bus, run.name, replay.play())
    except asyncio.CancelledError:
        raise
    except Exception:  # after any error, the run is incomplete, and removed
        dropping = await change_run(bus, run.name, lambda entry: entry.in_phase(RunPhase.DROPPING))
        if dropping is not None:
            await drop_run(bus, dropping)
        raise
    finally:
        await cancel_and_wait(showing)
    final = await change_run(bus, run.name, lambda entry: _ended(entry, ended))
    if final is None:
        raise _dropped(run.name)
    await close_run(bus, final, now_ns())
    return final


def _ended(entry: Run, ended: Run) -> Run:
    return entry.in_phase(ended.stands).model_copy(update={"covered": ended.covered}) if entry.running else entry


async def _show(replay: Replay, show: Show) -> None:
    told: set[str] = set()
    while True:
        show(replay.done)
        for note in replay.notes:
            if note not in told:
                told.add(note)
                tell(note)
        await asyncio.sleep(SHOW_EVERY)


def _interrupter(stop: Callable[[], None], name: str) -> Callable[[], None]:
    """Make the handler of Ctrl-C: the first one ends the run in order, the second leaves it as it is."""
    task, stopping = asyncio.current_task(), False

    def interrupt() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            tell("ending the run in order; press Ctrl-C once more to leave it as it is")
            stop()
        elif task is not None:
            tell(f"left as it is: `metrica runs drop {name}` removes it")
            task.cancel()

    return interrupt


async def _unless_dropped(bus: Bus, name: str, work: Coroutine[None, None, T]) -> T:
    """Await `work`, and cancel it if the run is dropped meanwhile, as it would never end.

    Raises:
        CommandError: the run was dropped.
    """
    working, dropped = asyncio.create_task(work), asyncio.create_task(_until_dropped(bus, name))
    try:
        await asyncio.wait([working, dropped], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise _dropped(name)
    finally:
        await cancel_and_wait(working, dropped)


async def _until_dropped(bus: Bus, name: str) -> None:
    async for entry in watch(bus, RUNS, run_key(name)):
        if entry.value is None or Run.model_validate_json(entry.value).stands is RunPhase.DROPPING:
            return


def _dropped(name: str) -> CommandError:
    return CommandError(f"run {name} was dropped while it was played")
