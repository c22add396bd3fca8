"""Lifecycle of a run: making its streams and its entry, ending it, dropping it."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from contracts.runs import RUN_ENTRIES, Run, run_key, run_spec_key
from contracts.spec import CameraSpec
from contracts.streams import CHECKPOINTS, DLQ, RUNS, Owner, run_streams
from contracts.subjects import dead_letter
from services.cli.console.errors import CommandError
from services.cli.replaying.results import holds
from services.kit.nats.assignment import at_work
from services.kit.nats.bus import Bus
from services.kit.retry import Backoff

RELEASE_TIMEOUT = 10.0
"""Seconds to wait for trackers to leave a run; a crashed one's leases have expired by then."""
DELETE_TIMEOUT = 10.0
"""Seconds to wait for persistence to delete a run's rows."""


async def check_free(bus: Bus, connection: asyncpg.Connection, name: str) -> None:
    """Check that a name is free for a run.

    Raises:
        CommandError: it is taken, or rows of a dropped run of that name are left.
    """
    if await find_run(bus, name) is not None:
        raise _taken(name)
    if await holds(connection, name):
        raise CommandError(
            f"the rows of an earlier run {name!r} are not deleted yet, which persistence does: "
            "choose another name, or wait until persistence is back"
        )


async def open_run(bus: Bus, run: Run, specs: Iterable[CameraSpec] = ()) -> None:
    """Start a run: make its streams, then its specs, then its entry.

    Raises:
        CommandError: there is a run of that name.
    """
    bucket = await bus.bucket(RUNS)
    if await find_run(bus, run.name) is not None:
        raise _taken(run.name)
    for stream in run.streams:
        await bus.make(stream)
    for spec in specs:
        await put_spec(bucket, run.name, spec)
    try:
        await bucket.create(run_key(run.name), _encoded(run))
    except KeyWrongLastSequenceError:
        raise _taken(run.name) from None


async def put_spec(bucket: KeyValue, run: str, spec: CameraSpec) -> None:
    """Store a revision of a camera's spec for a run."""
    await bucket.put(run_spec_key(run, spec.camera, spec.revision), spec.model_dump_json().encode())


async def update_run(bus: Bus, run: Run) -> None:
    """Write a run's entry."""
    await (await bus.bucket(RUNS)).put(run_key(run.name), _encoded(run))


async def close_run(bus: Bus, run: Run) -> None:
    """End a run after all its crossings are in the database. Its rows, its paths and its entry stay.

    Args:
        bus: the connection.
        run: in its final state, which is not `running`.
    """
    assert not run.running
    await update_run(bus, run)
    streams = run_streams(run.name)
    await _release(bus, run.name)
    for stream in (streams.kept, streams.detections, streams.crossings):
        await bus.remove(stream)


async def drop_run(bus: Bus, name: str) -> None:
    """Delete a run in any state from the broker. Persistence sees its deleted key, and deletes its rows."""
    bucket = await bus.bucket(RUNS)
    await bucket.delete(run_key(name))
    await _release(bus, name)
    for stream in run_streams(name):
        await bus.remove(stream)
    await bus.js.purge_stream(f"KV_{RUNS.name}", subject=f"$KV.{RUNS.name}.{name}.spec.>")
    await bus.js.purge_stream(DLQ.name, subject=dead_letter("*", name))


async def remove_run(bus: Bus, connection: asyncpg.Connection, name: str) -> bool:
    """Drop a run, and wait for persistence to delete its rows. Returns False if some are left after the timeout."""
    await drop_run(bus, name)
    backoff, waited = Backoff(), 0.0
    while await holds(connection, name):
        if waited > DELETE_TIMEOUT:
            return False
        waited += await backoff.wait()
    # Persistence has handled the deleted key, which is no longer needed.
    await bus.js.purge_stream(f"KV_{RUNS.name}", subject=f"$KV.{RUNS.name}.{name}.>")
    return True


async def find_run(bus: Bus, name: str) -> Run | None:
    """Find a run by its name."""
    try:
        entry = await (await bus.bucket(RUNS)).get(run_key(name))
    except KeyNotFoundError:
        return None
    return Run.model_validate_json(entry.value or b"")


async def list_runs(bus: Bus) -> list[Run]:
    """List all runs, the oldest first."""
    prefix = f"$KV.{RUNS.name}."
    info = await bus.js.stream_info(f"KV_{RUNS.name}", subjects_filter=prefix + RUN_ENTRIES)
    names = [subject.removeprefix(prefix).partition(".")[0] for subject in info.state.subjects or {}]
    runs = [run for name in names if (run := await find_run(bus, name)) is not None]
    return sorted(runs, key=lambda run: run.created_at)


async def _release(bus: Bus, name: str) -> None:
    """Wait until no tracker works on a run, and delete its checkpoints."""
    backoff, waited = Backoff(), 0.0
    while waited < RELEASE_TIMEOUT and await at_work(bus, Owner.TRACKER.value, name):
        waited += await backoff.wait()
    try:
        await bus.js.purge_stream(f"KV_{CHECKPOINTS.name}", subject=f"$KV.{CHECKPOINTS.name}.{name}.>")
    except NotFoundError:
        return  # no tracker has ever run


def _encoded(run: Run) -> bytes:
    return run.model_dump_json(exclude_none=True).encode()


def _taken(name: str) -> CommandError:
    return CommandError(f"there is a run {name!r} already: choose another name, or `metrica runs drop {name}` first")
