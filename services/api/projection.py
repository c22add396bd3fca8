"""The configuration in Postgres, projected into the buckets that the services watch.

After every commit (NOTIFY), at the start, after the bus came back, and every minute, whatever happened: the buckets are
compared with the tables, and what differs is written. Replicas may all do so: they write the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError, NoKeysError
from nats.js.kv import KeyValue
from pydantic import ValidationError
from sqlmodel import col, select

from contracts import subjects
from contracts.events import State, Status
from contracts.identity import LIVE, to_ns, token
from contracts.spec import CameraSpec, Source, current_key, spec_key
from contracts.streams import CAMERAS, SOURCES
from services.api.cameras.repository import in_words, read_spec, renumber
from services.api.cameras.sealing import seal_addresses
from services.api.clock import Clock
from services.api.database import CONNECT_TIMEOUT, Sessions
from services.api.http.problems import DATABASE_ERRORS
from services.api.statuses import Statuses
from services.api.transaction import CHANNEL
from services.kit.database.tables import Camera, Line
from services.kit.logs import logger
from services.kit.nats.bus import Backoff, Bus
from services.kit.vault import Vault

SERVICE = "api"
RECONCILE_SECONDS = 60.0
RETRY_SECONDS = 2.0

log = logger()


@dataclass(frozen=True, slots=True)
class Projected:
    """What the buckets should hold, and which cameras cannot be projected and why (by camera)."""

    specs: Mapping[str, CameraSpec]
    sources: Mapping[str, Source]
    refused: Mapping[str, str]


@dataclass(slots=True)
class Changes:
    """What a reconciliation did."""

    written: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


def project(rows: Sequence[tuple[Camera, Sequence[Line]]]) -> Projected:
    """The specs and sources of the configuration's rows. A row that makes no sense stops no other."""
    specs: dict[str, CameraSpec] = {}
    sources: dict[str, Source] = {}
    refused: dict[str, str] = {}
    for camera, lines in rows:
        try:
            spec = read_spec(camera, list(lines))
            token(spec.model)  # names the pool of detectors
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
        self._bus, self._sessions, self._database_url, self._clock = bus, sessions, database_url, clock
        self._writable, self._vault = writable, vault
        self._statuses, self._changed = statuses, changed
        self._due = asyncio.Event()
        self._due.set()
        self._said: dict[str, Status] = {}

    async def run(self) -> None:
        """Project for ever. The bus is connected."""
        forget = self._bus.on_reconnect(self._due.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(), name="listen for changes of the configuration")
                tasks.create_task(self._project(), name="project the configuration")
        finally:
            forget()

    async def reconcile(self) -> Changes:
        """Seal addresses that lie in the clear, compare the buckets with the tables once, and write what differs."""
        await seal_addresses(self._writable, self._vault)
        async with self._sessions() as session:
            cameras = (await session.exec(select(Camera).order_by(col(Camera.id)))).all()
            lines = (await session.exec(select(Line).order_by(col(Line.camera), col(Line.id)))).all()
        rows = [(camera, [line for line in lines if line.camera == camera.id]) for camera in cameras]
        wanted = project(rows)
        changes = Changes()
        specs = await self._bus.js.key_value(CAMERAS.name)
        sources = await self._bus.js.key_value(SOURCES.name)
        for camera, source in wanted.sources.items():
            await _put(sources, camera, source.model_dump_json(exclude_none=True).encode(), changes)
        for spec in wanted.specs.values():
            await self._write_spec(specs, spec, changes)
        kept = {camera.id for camera in cameras}
        await _delete(specs, {current_key(camera) for camera in kept}, changes, only=".current")
        await _delete(sources, kept, changes)
        await self._tell(cameras, wanted.refused)
        self._statuses.forget((camera.store, camera.id) for camera in cameras)
        return changes

    async def _project(self) -> None:
        backoff, told = Backoff(), False
        while True:
            try:
                async with asyncio.timeout(RECONCILE_SECONDS):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            try:
                changes = await self.reconcile()
            except (NatsError, *DATABASE_ERRORS) as error:
                if isinstance(error, BucketNotFoundError):  # somebody removed it while the connection stood
                    await self._bus.declare()
                if not told:
                    log.warning("projecting the configuration waits", error=str(error) or type(error).__name__)
                told = True
                self._due.set()
                await backoff.wait()
                continue
            told = False
            backoff.reset()
            if changes.written or changes.deleted:
                log.info("configuration projected", written=changes.written, deleted=changes.deleted)
            self._changed()

    async def _write_spec(self, bucket: KeyValue, spec: CameraSpec, changes: Changes) -> None:
        value, key = spec.model_dump_json().encode(), spec_key(spec.camera, spec.revision)
        # What was written is compared by its meaning: an earlier release writes the same in other bytes.
        if await _read(bucket, current_key(spec.camera)) == spec and await _read(bucket, key) == spec:
            return
        try:
            await bucket.create(key, value)
            changes.written.append(key)
        except KeyWrongLastSequenceError:
            if await _read(bucket, key) != spec:
                # The database was set up anew or restored: this revision once named another spec, and frames in
                # flight may still name that one. A revision never changes its meaning, so take the next.
                log.warning("a revision is taken by another spec", camera=spec.camera, revision=spec.revision)
                await renumber(self._database_url, spec.camera, spec.revision)
                self._due.set()
                return
        await _put(bucket, current_key(spec.camera), value, changes)

    async def _tell(self, cameras: Sequence[Camera], refused: Mapping[str, str]) -> None:
        for camera in cameras:
            try:
                status = self._status(camera, refused.get(camera.id))
            except ValidationError:
                log.error("a camera's or store's id cannot be a name on the bus", camera=camera.id, store=camera.store)
                continue
            said = self._said.get(camera.id) or self._statuses.of_camera(camera.store, camera.id, SERVICE)
            if (said.state, said.message) == (status.state, status.message) if said else status.state is State.RUNNING:
                continue
            subject = subjects.status(LIVE, camera.store, camera.id, SERVICE)
            try:
                await self._bus.try_publish(subject, status.encode())
            except (NatsError, TimeoutError):  # ingest has not made the stream yet: the buckets need not wait for that
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._due.set)
                return
            self._said[camera.id] = status

    def _status(self, camera: Camera, problem: str | None) -> Status:
        message = f"This camera is set up in a way that cannot work: {problem}. Correct it, then it starts by itself."
        return Status(
            run=LIVE,
            store=camera.store,
            camera=camera.id,
            service=SERVICE,
            state=State.REFUSED if problem else State.RUNNING,
            message=message if problem else "",
            at=to_ns(self._clock()),
        )

    async def _listen(self) -> None:
        """Ask to be told of every commit that changed the configuration; through any outage of the database."""
        backoff = Backoff()
        while True:
            try:
                await self._listen_once(backoff)
            except DATABASE_ERRORS:
                await backoff.wait()

    async def _listen_once(self, backoff: Backoff) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._database_url, timeout=CONNECT_TIMEOUT)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self._due.set())
            backoff.reset()
            self._due.set()  # what was committed while nobody listened
            await lost.wait()
        finally:
            connection.terminate()


async def _get(bucket: KeyValue, key: str) -> bytes | None:
    try:
        return (await bucket.get(key, validate_keys=False)).value
    except KeyNotFoundError:
        return None


async def _read(bucket: KeyValue, key: str) -> CameraSpec | None:
    """The spec that is stored; None where there is none that can be read."""
    try:
        return CameraSpec.model_validate_json(await _get(bucket, key) or b"")
    except ValidationError:
        return None


async def _put(bucket: KeyValue, key: str, value: bytes, changes: Changes) -> None:
    if await _get(bucket, key) != value:
        await bucket.put(key, value, validate_keys=False)
        changes.written.append(key)


async def _delete(bucket: KeyValue, keep: set[str], changes: Changes, *, only: str = "") -> None:
    try:
        keys = await bucket.keys()
    except NoKeysError:
        return
    for key in keys:
        if key.endswith(only) and key not in keep:
            await bucket.delete(key, validate_keys=False)
            changes.deleted.append(key)
