"""The entries of runs in the bucket `runs`: those who want a run make one and watch it; replay carries it out.

Each write compares and sets, so that a user who drops a run and the replica that feeds it never overwrite each other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from contracts.runs import RUN_ENTRIES, Run, RunPhase, RunProgress, run_key, run_progress_key
from contracts.streams import RUNS
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch

_ENDED = (RunPhase.FINISHED, RunPhase.STOPPED, RunPhase.FAILED)


class NameTaken(Exception):
    """There is a run of that name."""


async def create_run(bus: Bus, run: Run) -> None:
    """Store the entry of a new run.

    Raises:
        NameTaken: there is a run of that name.
        nats.errors.Error, TimeoutError, OSError: the broker does not answer.
    """
    try:
        await (await bus.bucket(RUNS)).create(run_key(run.name), encoded(run))
    except KeyWrongLastSequenceError:
        raise NameTaken(run.name) from None


async def find_run(bus: Bus, name: str) -> Run | None:
    """Find a run by its name."""
    found = await _read(bus, name)
    return None if found is None else found[0]


async def list_runs(bus: Bus) -> list[Run]:
    """List all runs, the oldest first."""
    prefix = f"$KV.{RUNS.name}."
    info = await bus.js.stream_info(f"KV_{RUNS.name}", subjects_filter=prefix + RUN_ENTRIES)
    names = [subject.removeprefix(prefix).partition(".")[0] for subject in info.state.subjects or {}]
    runs = [run for name in names if (run := await find_run(bus, name)) is not None]
    return sorted(runs, key=lambda run: run.created_at)


async def change_run(bus: Bus, name: str, change: Callable[[Run], Run]) -> Run | None:
    """Change a run's entry.

    Args:
        bus: the connection.
        name: of the run.
        change: returns the new entry, or the same one to leave it; called again if somebody else has changed it.

    Returns:
        The entry as it is now; None if there is no such run.
    """
    bucket = await bus.bucket(RUNS)
    while (found := await _read(bus, name)) is not None:
        run, revision = found
        changed = change(run)
        if changed == run:
            return run
        try:
            await bucket.update(run_key(name), encoded(changed), last=revision)
        except KeyWrongLastSequenceError:
            continue
        return changed
    return None


async def ask_to_drop(bus: Bus, name: str) -> Run | None:
    """Ask the replay service to remove a run with all its data. Returns None if there is no such run."""
    return await change_run(bus, name, lambda run: run.in_phase(RunPhase.DROPPING))


async def ask_to_stop(bus: Bus, name: str) -> Run | None:
    """Ask the replay service to end a run early, with what was fed. Returns None if there is no such run."""

    def stop(run: Run) -> Run:
        return run.in_phase(RunPhase.STOPPING) if run.stands is RunPhase.RUNNING and run.request else run

    return await change_run(bus, name, stop)


async def read_progress(bus: Bus, name: str) -> RunProgress:
    """Read a run's progress; that of a run before its beginning if there is none yet."""
    try:
        entry = await (await bus.bucket(RUNS)).get(run_progress_key(name))
    except KeyNotFoundError:
        return RunProgress()
    return RunProgress.model_validate_json(entry.value or b"")


async def write_progress(bus: Bus, name: str, progress: RunProgress) -> None:
    """Store a run's progress."""
    await (await bus.bucket(RUNS)).put(run_progress_key(name), progress.model_dump_json(exclude_defaults=True).encode())


async def follow_run(bus: Bus, name: str) -> AsyncGenerator[tuple[Run | None, RunProgress], None]:
    """Yield a run with its progress, now and after each change, until it has ended; None for a run that is dropped."""
    run, progress = None, RunProgress()
    async for entry in watch(bus, RUNS, f"{name}.*"):
        if entry.key == run_progress_key(name):
            progress = RunProgress() if entry.value is None else RunProgress.model_validate_json(entry.value)
            if run is None:
                continue  # the entry was made first, and comes
        else:
            run = None if entry.value is None else Run.model_validate_json(entry.value)
        yield run, progress
        if run is None or has_ended(run):
            return


def has_ended(run: Run) -> bool:
    """Tell whether a run has ended, and its streams are removed."""
    return run.stands in _ENDED and (run.request is None or run.closed_at is not None)


def encoded(run: Run) -> bytes:
    """Encode an entry."""
    return run.model_dump_json(exclude_none=True).encode()


async def _read(bus: Bus, name: str) -> tuple[Run, int] | None:
    try:
        entry = await (await bus.bucket(RUNS)).get(run_key(name))
    except KeyNotFoundError:
        return None
    return Run.model_validate_json(entry.value or b""), entry.revision or 0
