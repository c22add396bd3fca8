"""Cameras in Postgres, with their lines and zones; and the stores and organizations that a new camera needs.

Every change of a camera's spec increases its revision, in the transaction that notifies the API to project it. A line's
revision is the camera's revision that last changed its geometry. It is never used again for another geometry, even if a
line is removed and drawn again.
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
    """Complete settings of a camera: omitted fields take their defaults, omitted lines and zones are removed.

    `store_name` and `time_zone` None leave those of an existing store unchanged.
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
    """Not part of the spec for the services: a change of them makes no new revision."""
    detection: DetectionArea = DetectionArea()
    paused: bool = False
    record: bool = False
    """Keep its frames for some days. Otherwise no picture of a person is stored."""
    start: Nanoseconds | None = None
    again: bool = False
    """Count a file again that was counted already."""
    policy_of_sealed: Policy | None = Field(default=None, exclude=True, repr=False)
    """The policy of a sealed address, from which it cannot be derived."""

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
        """The policy, which follows from the source: a live camera does not wait, and a file is read whole."""
        if is_sealed(self.address):
            return self.policy_of_sealed or Policy.LATEST
        return default_policy(self.address)

    def spec(self, revision: int) -> CameraSpec:
        """The spec for the services."""
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
"""A vault without a key."""


class NoSuchCamera(LookupError):
    """There is no camera with that id."""


async def ensure_camera(
    database_url: str, setup: CameraSetup, vault: Vault = LOCKED, *, address_is_said: bool = True
) -> int:
    """Create or change a camera to match a setup, and its store and organization; for the operator.

    Args:
        database_url: postgresql://user:password@host:port/database
        setup: of the camera.
        vault: seals its address.
        address_is_said: whether the operator chose the address, which makes it trusted; False if it is the present one.

    Returns:
        The camera's revision; unchanged if the spec for the services is.

    Raises:
        CannotOpen: the address is of a network stream, and there is no secret key to seal it with.
        ValueError: a name has a character that is not allowed, is blank or too long.
    """
    setup = with_tidy_names(setup)
    async with writing_at(database_url) as session:
        await _ensure_store(session, setup)
        return await write_camera(session, setup, vault, trusted=True if address_is_said else None)


def with_tidy_names(setup: CameraSetup) -> CameraSetup:
    """A setup with names by the API's rules. Stored names are read without them.

    Raises:
        ValueError: a name has a character that is not allowed, is blank or too long.
    """
    return setup.model_copy(
        update={
            "address": checked(setup.address),
            "name": _tidy("its name", setup.name),
            "store_name": None if setup.store_name is None else _tidy("the store's name", setup.store_name, tidy_name),
            "lines": tuple(
                line.model_copy(
                    update={
                        field: _tidy(f"{field} of the line {line.id}", getattr(line, field))
                        for field in ("name", "in_name", "out_name")
                    }
                )
                for line in setup.lines
            ),
            "zones": tuple(
                zone.model_copy(update={"name": _tidy(f"name of the zone {zone.id}", zone.name)})
                for zone in setup.zones
            ),
        }
    )


def _tidy(field: str, text: str, rule: Callable[[str], str] = tidy) -> str:
    try:
        tidied = rule(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
    if len(tidied) > LONGEST_NAME:
        raise ValueError(f"{field} is longer than {LONGEST_NAME} characters")
    return tidied


async def write_camera(session: AsyncSession, setup: CameraSetup, vault: Vault, *, trusted: bool | None) -> int:
    """Create or change a camera of an existing store. Returns its revision.

    Args:
        session: a transaction of `services.api.transaction`.
        setup: of the camera.
        vault: seals its address.
        trusted: whether a superadmin or the operator chose the address; None leaves it as it was.
    """
    camera = await session.get(Camera, setup.camera)
    lines = {line.id: line for line in await read_lines(session, setup.camera)}
    before = None if camera is None else read_spec(camera, list(lines.values()))
    if camera is None:
        camera = Camera(id=setup.camera, store=setup.store, address="", model="", policy="", revision=0)
    if before is None or _substance(before) != _substance(setup.spec(1)):
        camera.revision += 1
    _set_camera(camera, setup)
    _set_address(camera, setup.address, vault, trusted)
    session.add(camera)
    await session.flush()
    await _set_lines(session, setup, lines, camera.revision)
    await _set_zones(session, setup)
    return camera.revision


async def find_camera(database_url: str, camera: str, vault: Vault = LOCKED) -> CameraSetup:
    """The setup of a camera.

    Raises:
        NoSuchCamera: there is no such camera.
    """
    matches = [setup for setup in await list_cameras(database_url, vault) if setup.camera == camera]
    if not matches:
        raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
    return matches[0]


async def list_cameras(database_url: str, vault: Vault = LOCKED) -> list[CameraSetup]:
    """The setups of all cameras, ordered by store and id. Invalid lines, zones and regions are left out.

    An address that the vault cannot open stays sealed.
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
    """Remove a camera with its lines and zones. Its counts are kept.

    Raises:
        NoSuchCamera: there is no such camera.
    """
    async with writing_at(database_url) as session:
        row = await session.get(Camera, camera)
        if row is None:
            raise NoSuchCamera(f"there is no camera {camera!r}: `metrica camera list` shows them")
        await delete_camera(session, row)


async def delete_camera(session: AsyncSession, camera: Camera) -> None:
    """Remove a camera inside a transaction of `services.api.transaction`."""
    for row in (*await read_lines(session, camera.id), *await read_zones(session, camera.id)):
        await session.delete(row)
    await session.flush()
    await session.delete(camera)


async def renumber(database_url: str, camera: str, taken: int) -> None:
    """Give a camera and its lines the next revision, because `taken` is the revision of another spec."""
    async with writing_at(database_url, "api") as session:
        row = await session.get(Camera, camera)
        if row is None or row.revision != taken:
            return  # another replica was faster
        row.revision += 1
        for line in await read_lines(session, camera):
            line.revision = row.revision


def read_spec(camera: Camera, lines: list[Line]) -> CameraSpec:
    """The spec of a camera's rows.

    Raises:
        ValueError: they are invalid; `in_words` gives the reason.
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
    """The message of an invalid configuration, without pydantic's wrapping."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        cause["msg"].removeprefix("Value error, ")
        if cause["type"] == "value_error"
        else f"{'.'.join(str(part) for part in cause['loc'])}: {cause['msg']}"
        for cause in error.errors()
    )


async def _ensure_store(session: AsyncSession, setup: CameraSetup) -> None:
    if await session.get(Organization, setup.organization) is None:
        session.add(Organization(id=setup.organization, name=setup.organization))
        await session.flush()
    store = await session.get(Store, setup.store)
    if store is None:
        store = Store(id=setup.store, organization=setup.organization, name=setup.store)
    store.name = store.name if setup.store_name is None else setup.store_name
    store.time_zone = store.time_zone if setup.time_zone is None else setup.time_zone
    session.add(store)
    await session.flush()


def _set_camera(camera: Camera, setup: CameraSetup) -> None:
    camera.store, camera.name, camera.model = setup.store, setup.name, setup.model
    camera.policy, camera.detection = setup.policy, setup.detection.model_dump(mode="json")
    for name, value in setup.capture.model_dump().items():
        setattr(camera, name, value)
    camera.preview_fps, camera.paused, camera.start = setup.preview_fps, setup.paused, setup.start
    camera.record = setup.record
    camera.again += setup.again


def _set_address(camera: Camera, address: str, vault: Vault, trusted: bool | None) -> None:
    """Store an address sealed. The same address keeps its seal, so that ingest does not reopen it."""
    if camera.address and (address == camera.address or address == open_or_leave(camera.address, vault)):
        camera.trusted = camera.trusted if trusted is None else trusted
        return
    if is_sealed(address):
        raise CannotOpen(f"the address of camera {camera.id} is sealed: say it in the clear")
    camera.address, camera.trusted = sealed(address, vault), bool(trusted)


def sealed(address: str, vault: Vault) -> str:
    """An address as it is stored: sealed; or in the clear without a secret key, if it cannot contain a password.

    Raises:
        CannotOpen: the address is of a network stream, and there is no secret key.
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
    """Tell whether an address is of a simulation, a file or a device of the machine."""
    scheme = _SCHEME.match(address.strip())
    return "@" not in address and (scheme is None or scheme[1].lower() in {"sim", "file"})


async def _set_lines(session: AsyncSession, setup: CameraSetup, before: dict[str, Line], revision: int) -> None:
    for line in setup.lines:
        row = before.pop(line.id, None)
        if row is None:
            row = Line(camera=setup.camera, revision=revision, **line.model_dump(exclude={"revision"}))
        elif _geometry(_read_line(row)) != _geometry(line):
            row.revision = revision
        for name, value in line.model_dump(mode="json", exclude={"id", "revision"}).items():
            setattr(row, name, value)
        session.add(row)
    for row in before.values():
        await session.delete(row)


async def _set_zones(session: AsyncSession, setup: CameraSetup) -> None:
    before = {row.id: row for row in await read_zones(session, setup.camera)}
    for zone in setup.zones:
        values = zone.model_dump(mode="json")
        row = before.pop(zone.id, None) or ZoneRow(camera=setup.camera, **values)
        row.name, row.polygon = zone.name, values["polygon"]
        session.add(row)
    for row in before.values():
        await session.delete(row)


async def read_lines(session: AsyncSession, camera: str) -> list[Line]:
    """The lines of a camera, ordered by id."""
    return list((await session.exec(select(Line).where(Line.camera == camera).order_by(col(Line.id)))).all())


async def read_zones(session: AsyncSession, camera: str) -> list[ZoneRow]:
    """The zones of a camera, ordered by id."""
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
    """The setup of a camera's rows; without lines, zones and regions if they are invalid."""
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
    """An address in the clear; unchanged if the vault cannot open it."""
    try:
        return vault.open(address)
    except CannotOpen:
        return address


def _substance(spec: CameraSpec) -> dict[str, object]:
    """The contents of a spec, without revisions and the order of lines; a change of them needs a new revision."""
    lines = sorted((line.model_copy(update={"revision": 1}) for line in spec.lines), key=lambda line: line.id)
    return {**spec.model_dump(exclude={"revision", "lines"}), "lines": [line.model_dump() for line in lines]}


def _geometry(line: CountingLine) -> tuple[float, float, float, float, Side, Anchor]:
    return line.x1, line.y1, line.x2, line.y2, line.in_side, line.anchor
