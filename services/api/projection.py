"""Projects the configuration in Postgres into the KV buckets that the services watch.

After every commit (NOTIFY), at the start, after a reconnect to NATS and every minute, the buckets are compared with the
tables, and differences are written. All replicas may do so at once: they write the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError, NoKeysError
from nats.js.kv import KeyValue
from pydantic import ValidationError

from contracts.events import State
from contracts.identity import to_ns, token
from contracts.spec import CameraSpec, Source, current_key, spec_key
from contracts.streams import CAMERAS, SOURCES
from services.api.cameras.mapping import in_words, read_spec
from services.api.cameras.repository import read_all, renumber
from services.api.cameras.sealing import seal_addresses
from services.api.clock import Clock
from services.api.database import CONNECT_TIMEOUT, Sessions
from services.api.http.problems import DATABASE_ERRORS
from services.api.statuses import Statuses
from services.api.transaction import CHANNEL
from services.kit.database.tables import Camera, Line
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.status_reporter import ON_CHANGE, StatusReporter
from services.kit.retry import retry, stay_cancelled
from services.kit.vault import Vault

SERVICE = "api"
RECONCILE_SECONDS = 60.0
RETRY_SECONDS = 2.0
_NO_SETUP = "This camera is set up in a way that cannot work: {}. Correct it, then it starts by itself."

log = logger()


@dataclass(frozen=True, slots=True)
class Projected:
    """Contents that the buckets should have, and the reasons why cameras cannot be projected; all by camera."""

    specs: Mapping[str, CameraSpec]
    sources: Mapping[str, Source]
    refused: Mapping[str, str]


@dataclass(slots=True)
class Reconciliation:
    """Keys that a reconciliation has written and deleted."""

    written: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


def project(rows: Sequence[tuple[Camera, Sequence[Line]]]) -> Projected:
    """The specs and sources of the configuration's rows. An invalid row does not affect the others."""
    specs: dict[str, CameraSpec] = {}
    sources: dict[str, Source] = {}
    refused: dict[str, str] = {}
    for camera, lines in rows:
        try:
            spec = read_spec(camera, lines)
            token(spec.model)  # it becomes the name of a pool of detectors
            source = Source(
                camera=camera.id,
                address=camera.address,
                start=camera.start,
                again=camera.again,
                trusted=camera.trusted,
            )
        except ValueError as error:
            refused[camera.id] = in_words(error)
        else:
            specs[camera.id], sources[camera.id] = spec, source
    return Projected(specs, sources, refused)


class Projection:
    """Keeps the buckets equal to the tables."""

    def __init__(
        self,
        bus: Bus,
        sessions: Sessions,
        writable: Sessions,
        database_url: str,
        vault: Vault,
        statuses: Statuses,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._bus, self._sessions, self._database_url = bus, sessions, database_url
        self._writable, self._vault = writable, vault
        self._statuses, self._changed = statuses, changed
        self._due = asyncio.Event()
        self._due.set()
        self._reporter = StatusReporter(bus, SERVICE, every=ON_CHANGE, clock=lambda: to_ns(clock()))

    async def run(self) -> None:
        """Project until cancelled. The bus is connected."""
        forget = self._bus.on_reconnect(self._due.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(), name="listen for changes of the configuration")
                tasks.create_task(self._project(), name="project the configuration")
        finally:
            forget()

    async def reconcile(self) -> Reconciliation:
        """Seal addresses stored in the clear, compare the buckets with the tables, and write the differences."""
        await seal_addresses(self._writable, self._vault)
        async with self._sessions() as session:
            rows = await read_all(session)
        cameras = [camera for camera, _ in rows]
        projected = project(rows)
        done = Reconciliation()
        specs = await self._bus.js.key_value(CAMERAS.name)
        sources = await self._bus.js.key_value(SOURCES.name)
        for camera, source in projected.sources.items():
            await _put(sources, camera, source.model_dump_json(exclude_none=True).encode(), done)
        for spec in projected.specs.values():
            await self._write_spec(specs, spec, done)
        kept = {camera.id for camera in cameras}
        await _delete(specs, {current_key(camera) for camera in kept}, done, only=".current")
        await _delete(sources, kept, done)
        await self._report(cameras, projected.refused)
        self._statuses.forget((camera.store, camera.id) for camera in cameras)
        return done

    async def _project(self) -> None:
        while True:
            stay_cancelled()
            with suppress(TimeoutError):
                async with asyncio.timeout(RECONCILE_SECONDS):
                    await self._due.wait()
            done = await retry(
                self._reconcile_due, "projecting the configuration waits", on=(NatsError, *DATABASE_ERRORS)
            )
            if done.written or done.deleted:
                log.info("configuration projected", written=done.written, deleted=done.deleted)
            self._changed()

    async def _reconcile_due(self) -> Reconciliation:
        self._due.clear()
        try:
            return await self.reconcile()
        except BucketNotFoundError:  # it was removed while the API was connected
            await self._bus.declare()
            raise

    async def _write_spec(self, bucket: KeyValue, spec: CameraSpec, done: Reconciliation) -> None:
        value, key = spec.model_dump_json().encode(), spec_key(spec.camera, spec.revision)
        # Values are compared by meaning: an earlier release writes the same spec in other bytes.
        if await _read(bucket, current_key(spec.camera)) == spec and await _read(bucket, key) == spec:
            return
        try:
            await bucket.create(key, value)
            done.written.append(key)
        except KeyWrongLastSequenceError:
            if await _read(bucket, key) != spec:
                # The database was set up anew or restored: this revision once named another spec, and frames in
                # flight may still name that one. A revision never changes its meaning, so take the next.
                log.warning("a revision is taken by another spec", camera=spec.camera, revision=spec.revision)
                await renumber(self._database_url, spec.camera, spec.revision)
                self._due.set()
                return
        await _put(bucket, current_key(spec.camera), value, done)

    async def _report(self, cameras: Sequence[Camera], refused: Mapping[str, str]) -> None:
        for camera in cameras:
            state, message = State.RUNNING, ""
            if problem := refused.get(camera.id):
                state, message = State.REFUSED, _NO_SETUP.format(problem)
            known = self._statuses.of_camera(camera.store, camera.id, SERVICE)
            try:
                await self._reporter.report(
                    camera.store,
                    camera.id,
                    state,
                    message,
                    code="setup-cannot-work" if problem else None,
                    params={"problem": problem} if problem else None,
                    publish=self._bus.try_publish,
                    earlier=(known.state, known.message) if known else (State.RUNNING, ""),
                )
            except ValidationError:
                log.error("a camera's or store's id cannot be a name on the bus", camera=camera.id, store=camera.store)
            except (NatsError, TimeoutError):  # ingest has not created the stream yet; the buckets do not wait for it
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._due.set)
                return

    async def _listen(self) -> None:
        """Listen for commits that change the configuration, reconnecting after outages of the database."""
        while True:
            await retry(self._listen_once, on=DATABASE_ERRORS)

    async def _listen_once(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._database_url, timeout=CONNECT_TIMEOUT)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self._due.set())
            self._due.set()  # for commits before it listened
            await lost.wait()
        finally:
            connection.terminate()


async def _get(bucket: KeyValue, key: str) -> bytes | None:
    try:
        return (await bucket.get(key, validate_keys=False)).value
    except KeyNotFoundError:
        return None


async def _read(bucket: KeyValue, key: str) -> CameraSpec | None:
    """The stored spec; None if there is none, or an unreadable one."""
    try:
        return CameraSpec.model_validate_json(await _get(bucket, key) or b"")
    except ValidationError:
        return None


async def _put(bucket: KeyValue, key: str, value: bytes, done: Reconciliation) -> None:
    if await _get(bucket, key) != value:
        await bucket.put(key, value, validate_keys=False)
        done.written.append(key)


async def _delete(bucket: KeyValue, keep: set[str], done: Reconciliation, *, only: str = "") -> None:
    try:
        keys = await bucket.keys()
    except NoKeysError:
        return
    for key in keys:
        if key.endswith(only) and key not in keep:
            await bucket.delete(key, validate_keys=False)
            done.deleted.append(key)
