"""`metrica camera set | list | remove`: cameras of a running Metrica, in its database (METRICA_DATABASE_URL)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.address import UNKNOWN, host_only, redact
from contracts.spec import reading_changes
from services.cli.console.database import DatabaseUrl, checked, run
from services.cli.console.errors import CommandError
from services.cli.console.options import (
    AnchorOption,
    IgnoreOption,
    InNameOption,
    InOption,
    LineOption,
    LineWords,
    MinHeightOption,
    OutNameOption,
    RegionOption,
    ZoneOption,
    polygons,
    start_ns,
    zones,
)

if TYPE_CHECKING:
    from services.api.cameras.setup import CameraSetup
    from services.kit.vault import Vault

app = typer.Typer(help="Set, list and remove the cameras of a running Metrica.", no_args_is_help=True)

SecretKey = Annotated[
    str,
    typer.Option(envvar="METRICA_SECRET_KEY", help="Key that seals addresses.", show_default=False),
]


@app.command("set")
def set_camera(
    camera: Annotated[str, typer.Argument(help="The camera's id: letters, digits, - and _.")],
    address: Annotated[
        str | None,
        typer.Argument(
            help="A video file, rtsp://…, http://…, a device number, or sim://door; - reads it from standard input, "
            "so that it is in no process list. May be left out later."
        ),
    ] = None,
    *,
    database_url: DatabaseUrl = "",
    secret_key: SecretKey = "",
    name: Annotated[str | None, typer.Option(help="Display name of the camera.")] = None,
    store: Annotated[str | None, typer.Option(help="The store's id; the store is made if it is new.")] = None,
    store_name: Annotated[str | None, typer.Option(help="Display name of the store.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The store's time zone, as in Europe/Paris.")] = None,
    line: LineOption = None,
    line_id: Annotated[list[str] | None, typer.Option(help="The line's id, if --line does not name it.")] = None,
    in_side: InOption = None,
    anchor: AnchorOption = None,
    in_name: InNameOption = None,
    out_name: OutNameOption = None,
    region: RegionOption = None,
    ignore: IgnoreOption = None,
    min_height: MinHeightOption = None,
    zone: ZoneOption = None,
    model: Annotated[str | None, typer.Option(help="The detection model.")] = None,
    fps: Annotated[float | None, typer.Option(help="Target frames per second; by default the source's own.")] = None,
    width: Annotated[int | None, typer.Option(help="Greatest width of the frames, pixels.")] = None,
    track: Annotated[
        int | None, typer.Option(min=0, help="The video track to read, if there are several; 0 for the main one.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="A file's frames per second, if its own times are wrong; 0 uses these again."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Time of a file's first frame, as in 2026-11-23T09:00:00+01:00.")
    ] = None,
    paused: Annotated[bool | None, typer.Option("--pause/--go", help="Pause capturing, or resume it.")] = None,
    record: Annotated[
        bool | None,
        typer.Option("--record/--no-record", help="Keep its frames for some days, for replays, or stop doing so."),
    ] = None,
    again: Annotated[bool, typer.Option(help="Count a file once more that was counted already.")] = False,
) -> None:
    """Add a camera, or change the given settings of one.

    Given lines, regions, ignored parts and zones replace all earlier ones; `--region none`, `--ignore none` and
    `--zone none` remove them. Sides and names without a --line apply to the camera's present lines.
    """
    from services.api.cameras.repository import ensure_camera  # brings SQLAlchemy; see main.py

    address = sys.stdin.readline().strip() if address == "-" else address
    changes = {
        "address": address,
        "name": name,
        "store": store,
        "store_name": store_name,
        "time_zone": time_zone,
        "model": model,
        "paused": paused,
        "record": record,
        "zones": None if zone is None else zones(zone),
        "start": None if start is None else start_ns(start),
        "again": again,
    }
    lines = LineWords(line or (), line_id or (), in_side or (), anchor or (), in_name or (), out_name or ())
    capture = {"fps": fps, "width": width}
    reading = reading_changes(track, rate)
    detection = {
        "regions": None if region is None else polygons("--region", region),
        "ignore": None if ignore is None else polygons("--ignore", ignore),
        "min_height": min_height,
    }
    url, vault = checked(database_url), _vault(secret_key)
    parts = {"capture": _given(capture) | reading, "detection": _given(detection)}
    setup = run(_merged(url, vault, camera, _given(changes), lines, parts))
    revision = run(ensure_camera(url, setup, vault, address_is_said=address is not None))
    print(f"camera {camera}: revision {revision}")


@app.command("list")
def list_cameras(
    *,
    database_url: DatabaseUrl = "",
    secret_key: SecretKey = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON array.")] = False,
) -> None:
    """Show all cameras. Parts of addresses that may be a password are hidden; paths of files are shown."""
    from services.api.cameras import repository  # brings SQLAlchemy; see main.py

    cameras = run(repository.list_cameras(checked(database_url), _vault(secret_key)))
    if as_json:
        rows = [
            setup.model_dump(mode="json", exclude={"again"})
            | {"address": _redacted(setup.address), "policy": setup.policy.value}
            for setup in cameras
        ]
        print(json.dumps(rows, indent=2))
        return
    for setup in cameras:
        lines = ", ".join(f"{line.id} in={line.in_side}" for line in setup.lines) or "no line"
        where = ("" if setup.detection.whole else "  looks at a part") + ("  recorded" if setup.record else "")
        print(
            f"{setup.store}/{setup.camera}  {_redacted(setup.address)}  {setup.model}  {setup.policy}  {lines}{where}"
        )
    if not cameras:
        print("There is no camera yet: metrica camera set NAME ADDRESS --line x1,y1,x2,y2 --in left|right")


@app.command("remove")
def remove_camera(
    camera: Annotated[str, typer.Argument(help="The camera's id.")], *, database_url: DatabaseUrl = ""
) -> None:
    """Remove a camera. Its counts stay."""
    from services.api.cameras import repository  # brings SQLAlchemy; see main.py

    run(repository.remove_camera(checked(database_url), camera))
    print(f"camera {camera}: removed; its counts stay")


async def _merged(
    url: str,
    vault: Vault,
    camera: str,
    changes: dict[str, object],
    words: LineWords,
    parts: Mapping[str, dict[str, object]],
) -> CameraSetup:
    """Apply changes to a camera's present settings, and to each of its lines unless others are drawn."""
    from services.api.cameras.repository import NoSuchCamera, find_camera
    from services.api.cameras.setup import CameraSetup

    try:
        present = await find_camera(url, camera, vault)
        before = present.model_dump(exclude={"again"}) | {"policy_of_sealed": present.policy_of_sealed}
    except NoSuchCamera:
        if "address" not in changes:
            raise CommandError(
                f"there is no camera {camera!r} yet: give its source's address as the second argument"
            ) from None
        before = {"camera": camera}
    if "address" in changes and changes["address"] != before.get("address"):
        before.pop("start", None)  # it belongs to the previous source
    drawn = before.get("lines", ())
    if words.without_lines and not drawn:
        raise CommandError(f"camera {camera!r} has no line yet: draw one, as in --line 0.5,0,0.5,1 --in left")
    lines = words.read() if words.lines else words.over(drawn)
    merged = {name: {**before.get(name, {}), **part} for name, part in parts.items()}
    return CameraSetup.model_validate({**before, **changes, **merged, "lines": lines})


def _given(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _redacted(address: str) -> str:
    from services.kit.vault import is_sealed

    if is_sealed(address):
        return "(sealed: METRICA_SECRET_KEY opens it)"
    # The caller has access to the machine, and may see the paths of its files.
    return address if "://" not in address and host_only(address) != UNKNOWN else redact(address)


def _vault(secret_key: str) -> Vault:
    from services.kit.vault import Vault

    try:
        return Vault(secret_key)
    except ValueError as error:
        raise CommandError(str(error)) from error
