"""Writing the configuration: organizations, stores, cameras and their lines, in Postgres.

Every change of what the services see of a camera raises its revision, in the same transaction that tells the API to
project it. A line's revision is the camera's revision that last changed where or how it counts: it never returns to a
number that meant another line, even where a line is removed and drawn anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.area import DetectionArea
from contracts.identity import Nanoseconds, Policy, Token, token
from contracts.spec import Anchor, CameraSpec, Capture, CountingLine, Side, default_policy
from services.api.database import open_engine, open_sessions
from services.kit.tables import Camera, Line, Organization, Store

CHANNEL = "metrica_config"
_LOCK = 0x6D657472_636F6E66  # "metrconf": one writer at a time, so that two revisions never become one


class CameraSetup(BaseModel):
    """A camera as its owner wants it, whole: what is not said takes its default, lines that are not named go.

    Of a store that exists, `store_name` and `time_zone` None leave what is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera: Token
    address: Annotated[str, Field(min_length=1)]
    name: str = ""
    organization: Token = "default"
    store: Token = "store"
    store_name: str | None = None
    time_zone: str | None = None
    model: str = "person-detection-0200"
    capture: Capture = Capture()
    preview_fps: Annotated[float, Field(ge=0, le=5)] = 4.0
    lines: tuple[CountingLine, ...] = ()
    detection: DetectionArea = DetectionArea()
    paused: bool = False
    record: bool = False
    """Whether its frames are kept for a while; nobody's picture is stored otherwise."""
    start: Nanoseconds | None = None
    again: bool = False
    """Count a file anew that was counted already."""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError(f"{name!r} is no time zone: write it as Europe/Paris, Africa/Tunis or UTC")
        return name

    @model_validator(mode="after")
    def _makes_a_spec(self) -> CameraSetup:
        self.spec(1)
        token(self.model)
        return self

    @property
    def policy(self) -> Policy:
        """What suits the source, and nobody chooses: a camera does not wait, and a file is read whole."""
        return default_policy(self.address)

    def spec(self, revision: int) -> CameraSpec:
        """What the services see of it."""
        return CameraSpec(
            revision=revision,
            store=self.store,
            camera=self.camera,
            name=self.name,
            model=self.model,
            policy=self.policy,
            capture=self.capture,
            preview_fps=self.preview_fps,
            lines=self.lines,
            detection=self.detection,
            paused=self.paused,
            record=self.record,
        )


class NoSuchCamera(LookupError):
    """There is no camera of that name."""


async def ensure_camera(database_url: str, spec: CameraSetup) -> int:
    """Make the configuration hold a camera just so: what is absent is created, what differs changed.

    Args:
        database_url: postgresql://user:password@host:port/database
        spec: the camera, its store and its lines.

    Returns:
        The camera's revision; the same as before where the services see no difference.
    """
    async with _writing(database_url) as session:
        await _ensure_store(session, spec)
        camera = await session.get(Camera, spec.camera)
        lines = {line.id: line for line in await _lines(session, spec.camera)}
        before = None if camera is None else read_spec(camera, list(lines.values()))
        if camera is None:
            camera = Camera(id=spec.camera, store=spec.store, address=spec.address, model="", policy="", revision=0)
        if before is None or _substance(before) != _substance(spec.spec(1)):
            camera.revision += 1
        _set_camera(camera, spec)
        session.add(camera)
        await session.flush()
        await _set_lines(session, spec, lines, camera.revision)
        return camera.revision


async def find_camera(database_url: str, camera: str) -> CameraSetup:
    """A camera as it is set.

    Raises:
        NoSuchCamera: there is none.
    """
    found = [setup for setup in await list_cameras(database_url) if setup.camera == camera]
    if not found:
        raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
    return found[0]


async def list_cameras(database_url: str) -> list[CameraSetup]:
    """All cameras as they are set, by store and name. One whose lines or regions cannot be is shown without them."""
    async with _writing(database_url) as session:
        rows = (
            await session.exec(
                select(Camera, Store).where(Camera.store == Store.id).order_by(col(Camera.store), col(Camera.id))
            )
        ).all()
        return [_read_setup(camera, store, await _lines(session, camera.id)) for camera, store in rows]


async def remove_camera(database_url: str, camera: str) -> None:
    """Take a camera and its lines out of the configuration. What it counted stays.

    Raises:
        NoSuchCamera: there is none.
    """
    async with _writing(database_url) as session:
        found = await session.get(Camera, camera)
        if found is None:
            raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
        for line in await _lines(session, camera):
            await session.delete(line)
        await session.flush()
        await session.delete(found)


async def renumber(database_url: str, camera: str, taken: int) -> None:
    """Give a camera and its lines the next revision, because `taken` already means another spec elsewhere."""
    async with _writing(database_url) as session:
        found = await session.get(Camera, camera)
        if found is None or found.revision != taken:
            return  # somebody else was faster
        found.revision += 1
        for line in await _lines(session, camera):
            line.revision = found.revision


def read_spec(camera: Camera, lines: list[Line]) -> CameraSpec:
    """The spec that a camera's rows mean.

    Raises:
        ValueError: they make no sense; `in_words` tells why.
    """
    return CameraSpec(
        revision=camera.revision,
        store=camera.store,
        camera=camera.id,
        name=camera.name,
        model=camera.model,
        policy=Policy(camera.policy),
        capture=Capture(fps=camera.fps, width=camera.width, quality=camera.quality),
        preview_fps=camera.preview_fps,
        paused=camera.paused,
        record=camera.record,
        lines=tuple(_read_line(line) for line in lines),
        detection=DetectionArea.model_validate(camera.detection),
    )


def in_words(error: ValueError) -> str:
    """What is wrong with a configuration, without pydantic's wrapping."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        one["msg"].removeprefix("Value error, ")
        if one["type"] == "value_error"
        else f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
        for one in error.errors()
    )


@asynccontextmanager
async def _writing(database_url: str) -> AsyncIterator[AsyncSession]:
    """One transaction, alone among writers; at its end the API is told."""
    engine = open_engine(database_url, isolation_level="READ COMMITTED")
    try:
        async with open_sessions(engine)() as session, session.begin():
            connection = await session.connection()
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield session
            if session.new or session.dirty or session.deleted:
                await session.flush()
            await connection.execute(text(f"NOTIFY {CHANNEL}"))
    finally:
        await engine.dispose()


async def _ensure_store(session: AsyncSession, spec: CameraSetup) -> None:
    if await session.get(Organization, spec.organization) is None:
        session.add(Organization(id=spec.organization, name=spec.organization))
        await session.flush()
    store = await session.get(Store, spec.store)
    if store is None:
        store = Store(id=spec.store, organization=spec.organization, name=spec.store)
    store.name = store.name if spec.store_name is None else spec.store_name
    store.time_zone = store.time_zone if spec.time_zone is None else spec.time_zone
    session.add(store)
    await session.flush()


def _set_camera(camera: Camera, spec: CameraSetup) -> None:
    camera.store, camera.name, camera.address, camera.model = spec.store, spec.name, spec.address, spec.model
    camera.policy, camera.detection = spec.policy, spec.detection.model_dump(mode="json")
    camera.fps, camera.width, camera.quality = spec.capture.fps, spec.capture.width, spec.capture.quality
    camera.preview_fps, camera.paused, camera.start = spec.preview_fps, spec.paused, spec.start
    camera.record = spec.record
    camera.again += spec.again


async def _set_lines(session: AsyncSession, spec: CameraSetup, before: dict[str, Line], revision: int) -> None:
    for wanted in spec.lines:
        row = before.pop(wanted.id, None)
        if row is None:
            row = Line(camera=spec.camera, revision=revision, **wanted.model_dump(exclude={"revision"}))
        elif _geometry(_read_line(row)) != _geometry(wanted):
            row.revision = revision
        for name, value in wanted.model_dump(mode="json", exclude={"id", "revision"}).items():
            setattr(row, name, value)
        session.add(row)
    for row in before.values():
        await session.delete(row)


async def _lines(session: AsyncSession, camera: str) -> list[Line]:
    return list((await session.exec(select(Line).where(Line.camera == camera).order_by(col(Line.id)))).all())


def _read_line(line: Line) -> CountingLine:
    return CountingLine(
        id=line.id,
        name=line.name,
        revision=line.revision,
        x1=line.x1,
        y1=line.y1,
        x2=line.x2,
        y2=line.y2,
        in_side=Side(line.in_side),
        anchor=Anchor(line.anchor),
        in_name=line.in_name,
        out_name=line.out_name,
    )


def _read_setup(camera: Camera, store: Store, lines: list[Line]) -> CameraSetup:
    setup = partial(
        CameraSetup,
        camera=camera.id,
        address=camera.address,
        name=camera.name,
        organization=store.organization,
        store=store.id,
        store_name=store.name,
        time_zone=store.time_zone,
        model=camera.model,
        capture=Capture(fps=camera.fps, width=camera.width, quality=camera.quality),
        preview_fps=camera.preview_fps,
        paused=camera.paused,
        record=camera.record,
        start=camera.start,
    )
    try:
        detection = DetectionArea.model_validate(camera.detection)
        return setup(lines=tuple(_read_line(line) for line in lines), detection=detection)
    except ValueError:
        return setup()


def _substance(spec: CameraSpec) -> dict[str, object]:
    """What of a spec makes it another one: everything but the numbers of its revisions; the lines' order is none."""
    lines = sorted((line.model_copy(update={"revision": 1}) for line in spec.lines), key=lambda line: line.id)
    return {**spec.model_dump(exclude={"revision", "lines"}), "lines": [line.model_dump() for line in lines]}


def _geometry(line: CountingLine) -> tuple[float, float, float, float, Side, Anchor]:
    return line.x1, line.y1, line.x2, line.y2, line.in_side, line.anchor
