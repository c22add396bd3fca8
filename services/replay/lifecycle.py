"""Lifecycle of a run: making its streams, ending it, dropping it. Each step may be repeated after a crash."""

from __future__ import annotations

from nats.js.errors import NotFoundError
from nats.js.kv import KeyValue

from contracts.runs import Run, RunPhase, run_key, run_spec_key
from contracts.spec import CameraSpec
from contracts.streams import CHECKPOINTS, DLQ, RUNS, Owner, run_streams
from contracts.subjects import dead_letter
from services.kit.nats.bus import Bus
from services.kit.nats.leases.assignment import at_work
from services.kit.nats.run_entries import change_run
from services.kit.retry import Backoff

RELEASE_TIMEOUT = 10.0
"""Seconds to wait for trackers to leave a run; a crashed one's leases have expired by then."""


async def make_streams(bus: Bus, run: Run) -> None:
    """Make the streams that a run needs, as far as they are missing."""
    for stream in run.streams:
        await bus.make(stream)


async def put_spec(bucket: KeyValue, run: str, spec: CameraSpec) -> None:
    """Store a revision of a camera's spec for a run."""
    await bucket.put(run_spec_key(run, spec.camera, spec.revision), spec.model_dump_json().encode())


async def close_run(bus: Bus, run: Run, now: int) -> None:
    """Remove the streams of a run that has ended. Its rows, its paths and its entry stay; of a failed one, no paths.

    Args:
        bus: the connection.
        run: in its final phase, with all its crossings in the database.
        now: the present time, ns UTC.
    """
    assert not run.running
    streams = run_streams(run.name)
    await _release(bus, run.name)
    for stream in streams:
        if stream is not streams.paths or run.stands is RunPhase.FAILED:
            await bus.remove(stream)
    await change_run(bus, run.name, lambda entry: entry.model_copy(update={"closed_at": now}))


async def drop_run(bus: Bus, run: Run) -> None:
    """Delete a run from the broker. Persistence sees its deleted key, and deletes its rows.

    The key is deleted last: a replica that is killed before leaves an entry by which the next one goes on.

    Args:
        bus: the connection.
        run: in a phase in which no service works on it.
    """
    assert not run.running
    name = run.name
    await _release(bus, name)
    for stream in run_streams(name):
        await bus.remove(stream)
    await bus.js.purge_stream(f"KV_{RUNS.name}", subject=f"$KV.{RUNS.name}.{name}.spec.>")
    await bus.js.purge_stream(f"KV_{RUNS.name}", subject=f"$KV.{RUNS.name}.{name}.progress")
    await bus.js.purge_stream(DLQ.name, subject=dead_letter("*", name))
    await (await bus.bucket(RUNS)).delete(run_key(name))


async def _release(bus: Bus, name: str) -> None:
    """Wait until no tracker works on a run, and delete its checkpoints."""
    backoff, waited = Backoff(), 0.0
    while waited < RELEASE_TIMEOUT and await at_work(bus, Owner.TRACKER.value, name):
        waited += await backoff.wait()
    try:
        await bus.js.purge_stream(f"KV_{CHECKPOINTS.name}", subject=f"$KV.{CHECKPOINTS.name}.{name}.>")
    except NotFoundError:
        return  # no tracker has ever run
