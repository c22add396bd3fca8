"""`metrica camera set | list | remove`: the cameras of a running Metrica, in its database (METRICA_DATABASE_URL)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.address import UNKNOWN, host_only, redact
from services.cli.console.database import DatabaseUrl, checked, run
from services.cli.console.errors import Refused
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
    from services.api.cameras.repository import CameraSetup
    from services.kit.vault import Vault

app = typer.Typer(help="Set, list and remove the cameras of a running Metrica.", no_args_is_help=True)

SecretKey = Annotated[
    str,
    typer.Option(envvar="METRICA_SECRET_KEY", help="What addresses are sealed with.", show_default=False),
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
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    store: Annotated[str | None, typer.Option(help="The store's id; made where there is none.")] = None,
    store_name: Annotated[str | None, typer.Option(help="What people call the store.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The store's, as in Europe/Paris.")] = None,
    line: LineOption = None,
    line_id: Annotated[list[str] | None, typer.Option(help="The line's id, where --line does not say it.")] = None,
    in_side: InOption = None,
    anchor: AnchorOption = None,
    in_name: InNameOption = None,
    out_name: OutNameOption = None,
    region: RegionOption = None,
    ignore: IgnoreOption = None,
    min_height: MinHeightOption = None,
    zone: ZoneOption = None,
    model: Annotated[str | None, typer.Option(help="The detection model.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second to look at; the source's own where left out.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Greatest width of the frames, pixels.")] = None,
    track: Annotated[
        int | None, typer.Option(min=0, help="The video track to read, where there are several; 0 is the main one.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="A file's frames a second, where its own times are wrong; 0 takes them again."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="When a file begins, as in 2026-11-23T09:00:00+01:00.")] = None,
    paused: Annotated[bool | None, typer.Option("--pause/--go", help="Stop capturing, or go on.")] = None,
    record: Annotated[
        bool | None,
        typer.Option("--record/--no-record", help="Keep its frames for some days, to be replayed, or not."),
    ] = None,
    again: Annotated[bool, typer.Option(help="Count a file anew that was counted already.")] = False,
) -> None:
    """Make a camera, or change what is said of one.

    Lines, regions, ignored parts and zones that are said replace all before; `--region none`, `--ignore none` and
    `--zone none` take them away. Sides and names without a --line are those of the lines that are there.
    """
    from services.api.cameras.repository import ensure_camera  # brings SQLAlchemy; see main.py

    address = sys.stdin.readline().strip() if address == "-" else address
    said = {
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
    read = {name: said or None for name, said in (("track", track), ("rate", rate)) if said is not None}
    detection = {
        "regions": None if region is None else polygons("--region", region),
        "ignore": None if ignore is None else polygons("--ignore", ignore),
        "min_height": min_height,
    }
    url, vault = checked(database_url), _vault(secret_key)
    parts = {"capture": _only(capture) | read, "detection": _only(detection)}
    setup = run(_merged(url, vault, camera, _only(said), lines, parts))
    revision = run(ensure_camera(url, setup, vault, address_is_said=address is not None))
    print(f"camera {camera}: revision {revision}")


@app.command("list")
def list_cameras(
    *,
    database_url: DatabaseUrl = "",
    secret_key: SecretKey = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON array.")] = False,
) -> None:
    """Show all cameras. Of their addresses what may be a password stays hidden; the paths of files are shown."""
    from services.api.cameras import repository  # brings SQLAlchemy; see main.py

    cameras = run(repository.list_cameras(checked(database_url), _vault(secret_key)))
    if as_json:
        shown = [
            setup.model_dump(mode="json", exclude={"again"})
            | {"address": _shown(setup.address), "policy": setup.policy.value}
            for setup in cameras
        ]
        print(json.dumps(shown, indent=2))
        return
    for setup in cameras:
        lines = ", ".join(f"{line.id} in={line.in_side}" for line in setup.lines) or "no line"
        where = ("" if setup.detection.whole else "  looks at a part") + ("  recorded" if setup.record else "")
        print(f"{setup.store}/{setup.camera}  {_shown(setup.address)}  {setup.model}  {setup.policy}  {lines}{where}")
    if not cameras:
        print("There is no camera yet: metrica camera set NAME ADDRESS --line x1,y1,x2,y2 --in left|right")


@app.command("remove")
def remove_camera(
    camera: Annotated[str, typer.Argument(help="The camera's id.")], *, database_url: DatabaseUrl = ""
) -> None:
    """Take a camera away. What it counted stays."""
    from services.api.cameras import repository  # brings SQLAlchemy; see main.py

    run(repository.remove_camera(checked(database_url), camera))
    print(f"camera {camera}: removed; its counts stay")


async def _merged(
    url: str,
    vault: Vault,
    camera: str,
    said: dict[str, object],
    words: LineWords,
    parts: Mapping[str, dict[str, object]],
) -> CameraSetup:
    """The camera as it is, with what was said over it: over each of its lines, unless others are drawn, and parts."""
    from services.api.cameras.repository import CameraSetup, NoSuchCamera, find_camera

    try:
        found = await find_camera(url, camera, vault)
        before = found.model_dump(exclude={"again"}) | {"policy_of_sealed": found.policy_of_sealed}
    except NoSuchCamera:
        if "address" not in said:
            raise Refused(
                f"there is no camera {camera!r} yet: say where its pictures come from, as the second argument"
            ) from None
        before = {"camera": camera}
    if "address" in said and said["address"] != before.get("address"):
        before.pop("start", None)  # it went with the source
    drawn = before.get("lines", ())
    if words.without_lines and not drawn:
        raise Refused(f"camera {camera!r} has no line yet: draw one, as in --line 0.5,0,0.5,1 --in left")
    lines = words.read() if words.lines else words.over(drawn)
    merged = {name: {**before.get(name, {}), **part} for name, part in parts.items()}
    return CameraSetup.model_validate({**before, **said, **merged, "lines": lines})


def _only(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if value is not None}


def _shown(address: str) -> str:
    from services.kit.vault import is_sealed

    if is_sealed(address):
        return "(sealed: METRICA_SECRET_KEY opens it)"
    # Whose machine it is may see which file it reads.
    return address if "://" not in address and host_only(address) != UNKNOWN else redact(address)


def _vault(secret_key: str) -> Vault:
    from services.kit.vault import Vault

    try:
        return Vault(secret_key)
    except ValueError as error:
        raise Refused(str(error)) from error
