"""The camera of `./taskw up`, from the options, the camera of the last run, and the defaults."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import available_timezones

import asyncpg

from contracts.identity import token
from contracts.spec import CountingLine, Side, reading_changes
from infra.local import demo
from infra.local.errors import LocalError
from infra.local.options import Options, Points
from services.api.cameras.mapping import in_words
from services.api.cameras.repository import NoSuchCamera, ensure_camera, find_camera
from services.api.cameras.setup import CameraSetup
from services.kit.vault import Vault

CAMERA, LINE, STORE = "camera", "line", "store"
"""Ids, the same as the defaults of `metrica count`."""
STORE_NAME = "My store"
SIMULATED_DOOR = "sim://door"
MIDDLE: Points = (0.5, 0.0, 0.5, 1.0)


def check(options: Options) -> None:
    """Check the options before anything is started.

    Raises:
        LocalError: no camera can be made of them; with the reason.
    """
    _merged_or_refused(options, None)


async def configure_camera(
    database_url: str, options: Options, vault: Vault, record_url: str | None = None
) -> CameraSetup:
    """Write the requested camera into the configuration.

    Args:
        database_url: the database, for the API's role.
        options: the options of `up`.
        vault: seals the camera's address.
        record_url: the database, for persistence's role, to add history to the demonstration of the simulated door.

    Raises:
        LocalError: the camera is invalid; with the reason.
    """
    try:
        before = await find_camera(database_url, CAMERA, vault)
    except NoSuchCamera:
        before = None
    setup = _merged_or_refused(options, before)
    if await _has_store(database_url, setup.store):  # which keeps its settings unless options change them
        setup = setup.model_copy(update={"store_name": options.store, "time_zone": options.time_zone})
    if record_url and setup.organization == demo.ORGANIZATION:
        await demo.prepare_demo(record_url, setup, fresh=before is None)
    given = options.camera is not None or before is None or before.address != setup.address
    await ensure_camera(database_url, setup, vault, address_is_said=given)
    return setup


def merged(options: Options, before: CameraSetup | None) -> CameraSetup:
    """Apply the options to the camera of the last run. With another source, the other settings are the defaults.

    Raises:
        ValueError: the camera is invalid.
    """
    address = options.camera or (before.address if before else SIMULATED_DOOR)
    same = before if before is not None and before.address == address else None
    simulated = is_simulated(address)
    fresh = CameraSetup(
        camera=CAMERA,
        name="Camera",
        organization=demo.ORGANIZATION if simulated else CameraSetup.model_fields["organization"].default,
        store=demo.STORE if simulated else STORE,
        store_name=demo.STORE_NAME if simulated else STORE_NAME,
        time_zone=before.time_zone if before else local_time_zone(),
        address=address,
        model=default_model(address),
        lines=(default_line(address),),
    )
    setup = (same or fresh).model_copy(update={"again": options.again, "start": None})
    line = setup.lines[0] if setup.lines else default_line(address)
    if options.line is not None:
        line = _line(options.line, line.in_side)
    if options.in_side is not None:
        line = line.model_copy(update={"in_side": options.in_side})
    changes: dict[str, object] = {"lines": (line, *setup.lines[1:])}
    changes["capture"] = setup.capture.model_copy(update=reading_changes(options.track, options.rate))
    if options.model is not None:
        changes["model"] = options.model
    if options.store is not None:
        changes |= {"store": token(options.store), "store_name": options.store}
    if options.time_zone is not None:
        changes["time_zone"] = options.time_zone
    # Validated again, as model_copy does not validate.
    return CameraSetup.model_validate({**dict(setup), **changes})


def is_simulated(address: str) -> bool:
    """Tell if it is the simulated door, whose counts go into a separate store, apart from a real camera's."""
    return address.startswith("sim://")


def default_model(address: str) -> str:
    """Choose the model: motion for the simulated door, as no person detector was trained on its drawn figures."""
    return "motion" if is_simulated(address) else CameraSetup.model_fields["model"].default


def default_line(address: str) -> CountingLine:
    """Choose the line: the simulated door's own; for other sources, the vertical through the middle.

    Raises:
        LocalError: the address of the simulation is invalid.
    """
    if not is_simulated(address):
        return _line(MIDDLE, Side.RIGHT)
    from services.ingest.source import SourceRefused
    from services.ingest.sources.simulation import open_simulation  # brings OpenCV, a quarter of a second

    try:
        return open_simulation(address).line.model_copy(update={"id": LINE})
    except SourceRefused as error:
        raise LocalError(f"CAMERA={error}") from None


def local_time_zone() -> str:
    """Return the name of this machine's time zone, or UTC if it has none."""
    candidates = [os.environ.get("TZ", "").lstrip(":")]
    try:
        candidates.append(str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2])
        candidates.append(Path("/etc/timezone").read_text().strip())
    except OSError:
        pass
    known = available_timezones()
    name = next((name for name in candidates if name in known), "UTC")
    return "UTC" if name == "Etc/UTC" else name


async def _has_store(database_url: str, store: str) -> bool:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval("SELECT 1 FROM store WHERE id = $1", store) is not None
    finally:
        await connection.close()


def _merged_or_refused(options: Options, before: CameraSetup | None) -> CameraSetup:
    try:
        return merged(options, before)
    except ValueError as error:
        raise LocalError(in_words(error)) from None


def _line(points: Points, in_side: Side) -> CountingLine:
    x1, y1, x2, y2 = points
    return CountingLine(id=LINE, x1=x1, y1=y1, x2=x2, y2=y2, in_side=in_side)
