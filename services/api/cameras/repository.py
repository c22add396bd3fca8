"""Writing the configuration: organizations, stores, cameras with their lines and zones, in Postgres.

Every change of what the services see of a camera raises its revision, in the same transaction that tells the API to
project it. A line's revision is the camera's revision that last changed where or how it counts: it never returns to a
number that meant another line, even where a line is removed and drawn anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.area import DetectionArea, Zone
from contracts.identity import Nanoseconds, Policy, Token, token
from contracts.spec import Anchor, CameraSpec, Capture, CountingLine, Side, default_policy
from services.api.http.bodies import LONGEST_NAME, TimeZone
from services.api.http.texts import checked, tidy, tidy_name
from services.api.transaction import writing_at
from services.kit.database.tables import Camera, Line, Organization, Store, ZoneRow
from services.kit.vault import CannotOpen, Vault, is_sealed


class CameraSetup(BaseModel):
    """A camera as its owner wants it, whole: what is not said takes its default, lines and zones that are not named go.

    Of a store that exists, `store_name` and `time_zone` None leave what is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    camera: Token
    address: Annotated[str, Field(min_length=1, repr=False)]
    name: str = ""
    organization: Token = "default"
    store: Token = "store"
    store_name: str | None = None
    time_zone: TimeZone | None = None
    model: str = "person-detection-0200"
    capture: Capture = Capture()
    preview_fps: Annotated[float, Field(ge=0, le=5)] = 4.0
    lines: tuple[CountingLine, ...] = ()
    zones: tuple[Zone, ...] = ()
    """Of no concern to the services: they are not in its spec, and a change of them makes no new revision."""
    detection: DetectionArea = DetectionArea()
    paused: bool = False
    record: bool = False
    """Whether its frames are kept for a while; nobody's picture is stored otherwise."""
    start: Nanoseconds | None = None
    again: bool = False
    """Count a file anew that was counted already."""
    policy_of_sealed: Policy | None = Field(default=None, exclude=True, repr=False)
    """The policy where the address cannot be opened here, and so does not tell it."""

    @model_validator(mode="after")
    def _makes_a_spec(self) -> CameraSetup:
        self.spec(1)
        token(self.model)
        return self

    @model_validator(mode="after")
    def _zones_have_own_ids(self) -> CameraSetup:
        ids = [zone.id for zone in self.zones]
        if len(set(ids)) != len(ids):
            raise ValueError(f"camera {self.camera}: two of its zones have the same id: {', '.join(ids)}")
        return self

    @property
    def policy(self) -> Policy:
        """What suits the source, and nobody chooses: a camera does not wait, and a file is read whole."""
        if is_sealed(self.address):
            return self.policy_of_sealed or Policy.LATEST
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


_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)

LOCKED = Vault(None)
"""Seals and opens nothing."""


class NoSuchCamera(LookupError):
    """There is no camera of that name."""


async def ensure_camera(
    database_url: str, spec: CameraSetup, vault: Vault = LOCKED, *, address_is_said: bool = True
) -> int:
    """Make the configuration hold a camera just so: what is absent is created, what differs changed.

    The machine's operator does, whose address is trusted.

    Args:
        database_url: postgresql://user:password@host:port/database
        spec: the camera, its store, its lines and zones.
        vault: seals its address.
        address_is_said: whether the operator chose the address; False where it is the one that was there.

    Returns:
        The camera's revision; the same as before where the services see no difference.

    Raises:
        CannotOpen: it is the address of a stream, and there is no secret key to seal it with.
        ValueError: a name holds what no text may hold, or is blank or too long.
    """
    spec = with_tidy_names(spec)
    async with writing_at(database_url) as session:
        await _ensure_store(session, spec)
        return await write_camera(session, spec, vault, trusted=True if address_is_said else None)


def with_tidy_names(spec: CameraSetup) -> CameraSetup:
    """A camera whose names are as the API takes them. What is stored already is read as it is.

    Raises:
        ValueError: a name holds what no text may hold, or is blank or too long.
    """
    return spec.model_copy(
        update={
            "address": checked(spec.address),
            "name": _tidy("its name", spec.name),
            "store_name": None if spec.store_name is None else _tidy("the store's name", spec.store_name, tidy_name),
            "lines": tuple(
                line.model_copy(
                    update={
                        field: _tidy(f"{field} of the line {line.id}", getattr(line, field))
                        for field in ("name", "in_name", "out_name")
                    }
                )
                for line in spec.lines
            ),
            "zones": tuple(
                zone.model_copy(update={"name": _tidy(f"name of the zone {zone.id}", zone.name)}) for zone in spec.zones
            ),
        }
    )


def _tidy(what: str, text: str, rule: Callable[[str], str] = tidy) -> str:
    try:
        tidied = rule(text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if len(tidied) > LONGEST_NAME:
        raise ValueError(f"{what} is longer than {LONGEST_NAME} characters")
    return tidied


async def write_camera(session: AsyncSession, spec: CameraSetup, vault: Vault, *, trusted: bool | None) -> int:
    """The same inside a transaction of `services.api.transaction`, for a store that is there.

    Args:
        session: the transaction.
        spec: the camera.
        vault: seals its address.
        trusted: whether a superadmin or the operator chose the address; None where nobody did now, and it stays as
            it was.
    """
    camera = await session.get(Camera, spec.camera)
    lines = {line.id: line for line in await read_lines(session, spec.camera)}
    before = None if camera is None else read_spec(camera, list(lines.values()))
    if camera is None:
        camera = Camera(id=spec.camera, store=spec.store, address="", model="", policy="", revision=0)
    if before is None or _substance(before) != _substance(spec.spec(1)):
        camera.revision += 1
    _set_camera(camera, spec)
    _set_address(camera, spec.address, vault, trusted)
    session.add(camera)
    await session.flush()
    await _set_lines(session, spec, lines, camera.revision)
    await _set_zones(session, spec)
    return camera.revision


async def find_camera(database_url: str, camera: str, vault: Vault = LOCKED) -> CameraSetup:
    """A camera as it is set.

    Raises:
        NoSuchCamera: there is none.
    """
    found = [setup for setup in await list_cameras(database_url, vault) if setup.camera == camera]
    if not found:
        raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
    return found[0]


async def list_cameras(database_url: str, vault: Vault = LOCKED) -> list[CameraSetup]:
    """All cameras as they are set, by store and name. What of one cannot be is left out.

    An address that the vault does not open is shown as it is, sealed.
    """
    async with writing_at(database_url) as session:
        rows = (
            await session.exec(
                select(Camera, Store).where(Camera.store == Store.id).order_by(col(Camera.store), col(Camera.id))
            )
        ).all()
        return [
            read_setup(camera, store, await read_lines(session, camera.id), await read_zones(session, camera.id), vault)
            for camera, store in rows
        ]


async def remove_camera(database_url: str, camera: str) -> None:
    """Take a camera, its lines and zones out of the configuration. What it counted stays.

    Raises:
        NoSuchCamera: there is none.
    """
    async with writing_at(database_url) as session:
        found = await session.get(Camera, camera)
        if found is None:
            raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
        await delete_camera(session, found)


async def delete_camera(session: AsyncSession, camera: Camera) -> None:
    """The same inside a transaction of `services.api.transaction`."""
    for row in (*await read_lines(session, camera.id), *await read_zones(session, camera.id)):
        await session.delete(row)
    await session.flush()
    await session.delete(camera)


async def renumber(database_url: str, camera: str, taken: int) -> None:
    """Give a camera and its lines the next revision, because `taken` already means another spec elsewhere."""
    async with writing_at(database_url, "api") as session:
        found = await session.get(Camera, camera)
        if found is None or found.revision != taken:
            return  # somebody else was faster
        found.revision += 1
        for line in await read_lines(session, camera):
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
        capture=_read_capture(camera),
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
    camera.store, camera.name, camera.model = spec.store, spec.name, spec.model
    camera.policy, camera.detection = spec.policy, spec.detection.model_dump(mode="json")
    for name, value in spec.capture.model_dump().items():
        setattr(camera, name, value)
    camera.preview_fps, camera.paused, camera.start = spec.preview_fps, spec.paused, spec.start
    camera.record = spec.record
    camera.again += spec.again


def _set_address(camera: Camera, address: str, vault: Vault, trusted: bool | None) -> None:
    """Sealed whole. The same address stays the same seal, so that nothing starts anew for it."""
    if camera.address and (address == camera.address or address == open_or_leave(camera.address, vault)):
        camera.trusted = camera.trusted if trusted is None else trusted
        return
    if is_sealed(address):
        raise CannotOpen(f"the address of camera {camera.id} is sealed: say it in the clear")
    camera.address, camera.trusted = sealed(address, vault), bool(trusted)


def sealed(address: str, vault: Vault) -> str:
    """An address as it is kept: sealed. Without a secret key in the clear, where there can be nothing secret in it.

    Raises:
        CannotOpen: it is the address of a stream, and there is no secret key.
    """
    if vault.usable:
        return vault.seal(address)
    if is_local(address):
        return address
    raise CannotOpen(
        "the address of a camera in the network may hold its password, and is kept only sealed: set METRICA_SECRET_KEY "
        "(`openssl rand -hex 32`), the same for the api and ingest"
    )


def is_local(address: str) -> bool:
    """Tell whether it is a simulation, a file or a device of the machine."""
    scheme = _SCHEME.match(address.strip())
    return "@" not in address and (scheme is None or scheme[1].lower() in {"sim", "file"})


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


async def _set_zones(session: AsyncSession, spec: CameraSetup) -> None:
    before = {zone.id: zone for zone in await read_zones(session, spec.camera)}
    for wanted in spec.zones:
        values = wanted.model_dump(mode="json")
        row = before.pop(wanted.id, None) or ZoneRow(camera=spec.camera, **values)
        row.name, row.polygon = wanted.name, values["polygon"]
        session.add(row)
    for row in before.values():
        await session.delete(row)


async def read_lines(session: AsyncSession, camera: str) -> list[Line]:
    """The lines of a camera, by their ids."""
    return list((await session.exec(select(Line).where(Line.camera == camera).order_by(col(Line.id)))).all())


async def read_zones(session: AsyncSession, camera: str) -> list[ZoneRow]:
    """The zones of a camera, by their ids."""
    query = select(ZoneRow).where(ZoneRow.camera == camera).order_by(col(ZoneRow.id))
    return list((await session.exec(query)).all())


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


def read_setup(camera: Camera, store: Store, lines: list[Line], zones: list[ZoneRow], vault: Vault) -> CameraSetup:
    """A camera as it is set; without its lines, zones and regions where those cannot be."""
    setup = partial(
        CameraSetup,
        camera=camera.id,
        address=open_or_leave(camera.address, vault),
        name=camera.name,
        organization=store.organization,
        store=store.id,
        store_name=store.name,
        time_zone=store.time_zone,
        model=camera.model,
        capture=_read_capture(camera),
        preview_fps=camera.preview_fps,
        paused=camera.paused,
        record=camera.record,
        start=camera.start,
        policy_of_sealed=Policy(camera.policy) if camera.policy in set(Policy) else None,
    )
    try:
        detection = DetectionArea.model_validate(camera.detection)
        drawn = tuple(Zone.model_validate(zone.model_dump()) for zone in zones)
        return setup(lines=tuple(_read_line(line) for line in lines), zones=drawn, detection=detection)
    except ValueError:
        return setup()


def _read_capture(camera: Camera) -> Capture:
    return Capture.model_validate(camera.model_dump(include=set(Capture.model_fields)))


def open_or_leave(address: str, vault: Vault) -> str:
    """An address in the clear; sealed as it is, where the vault does not open it."""
    try:
        return vault.open(address)
    except CannotOpen:
        return address


def _substance(spec: CameraSpec) -> dict[str, object]:
    """What of a spec makes it another one: everything but the numbers of its revisions; the lines' order is none."""
    lines = sorted((line.model_copy(update={"revision": 1}) for line in spec.lines), key=lambda line: line.id)
    return {**spec.model_dump(exclude={"revision", "lines"}), "lines": [line.model_dump() for line in lines]}


def _geometry(line: CountingLine) -> tuple[float, float, float, float, Side, Anchor]:
    return line.x1, line.y1, line.x2, line.y2, line.in_side, line.anchor
