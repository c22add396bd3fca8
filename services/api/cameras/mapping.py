"""Between a camera's rows in the database, its spec for the services, and its setup."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pydantic import ValidationError

from contracts.area import DetectionArea, Zone
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture, CountingLine
from services.api.cameras.addresses import open_or_leave
from services.api.cameras.setup import CameraSetup
from services.kit.database.tables import Camera, Line, Store, ZoneRow
from services.kit.vault import Vault

_GEOMETRY = {"x1", "y1", "x2", "y2", "in_side", "anchor"}
_SAME_NAMES = {"name", "model", "preview_fps", "paused", "record", "start"}


def read_spec(camera: Camera, lines: Iterable[Line]) -> CameraSpec:
    """The spec of a camera's rows.

    Raises:
        ValueError: they are invalid; `in_words` gives the reason.
    """
    fields = camera.model_dump(exclude={"address"})  # an error of validation may show them
    return CameraSpec.model_validate(
        {**fields, "camera": camera.id, "capture": fields, "lines": [line.model_dump() for line in lines]}
    )


def read_setup(
    camera: Camera, store: Store, lines: Iterable[Line], zones: Iterable[ZoneRow], vault: Vault
) -> CameraSetup:
    """The setup of a camera's rows; without lines, zones and regions if they are invalid."""
    setup = partial(
        CameraSetup,
        camera=camera.id,
        address=open_or_leave(camera.address, vault),
        organization=store.organization,
        store=store.id,
        store_name=store.name,
        time_zone=store.time_zone,
        capture=Capture.model_validate(camera.model_dump(include=set(Capture.model_fields))),
        policy_of_sealed=Policy(camera.policy) if camera.policy in set(Policy) else None,
        **camera.model_dump(include=_SAME_NAMES),
    )
    try:
        return setup(
            lines=tuple(CountingLine.model_validate(line.model_dump()) for line in lines),
            zones=tuple(Zone.model_validate(zone.model_dump()) for zone in zones),
            detection=DetectionArea.model_validate(camera.detection),
        )
    except ValueError:
        return setup()


def set_camera(camera: Camera, setup: CameraSetup) -> None:
    """Set a camera's columns by its setup, except the address."""
    values = {name: getattr(setup, name) for name in (*_SAME_NAMES, "store", "policy")}
    for name, value in {**values, **setup.capture.model_dump()}.items():
        setattr(camera, name, value)
    camera.detection = setup.detection.model_dump(mode="json")
    camera.again += setup.again


def set_line(row: Line, line: CountingLine) -> None:
    """Set a line's columns, except its revision."""
    for name, value in line.model_dump(mode="json", exclude={"id", "revision"}).items():
        setattr(row, name, value)


def has_moved(row: Line, line: CountingLine) -> bool:
    """Tell whether a line counts at another place, in another direction or by another anchor than before."""
    return row.model_dump(include=_GEOMETRY) != line.model_dump(mode="json", include=_GEOMETRY)


def substance(spec: CameraSpec) -> dict[str, object]:
    """The contents of a spec, without revisions and the order of lines; a change of them needs a new revision."""
    lines = sorted((line.model_dump(exclude={"revision"}) for line in spec.lines), key=lambda line: line["id"])
    return {**spec.model_dump(exclude={"revision", "lines"}), "lines": lines}


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
