"""`metrica camera set | list | remove`: the cameras of a running Metrica, in its database (METRICA_DATABASE_URL)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from services.cli.errors import Refused
from services.cli.options import AnchorPoint, InSide, points, start_ns

if TYPE_CHECKING:
    from services.api.configuration import CameraSetup

app = typer.Typer(help="Set, list and remove the cameras of a running Metrica.", no_args_is_help=True)

DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="METRICA_DATABASE_URL", help="postgresql://user:password@host:port/database", show_default=False
    ),
]
T = TypeVar("T")


@app.command("set")
def set_camera(
    camera: Annotated[str, typer.Argument(help="The camera's id: letters, digits, - and _.")],
    address: Annotated[
        str | None,
        typer.Argument(help="A video file, rtsp://…, http://…, a device number, or sim://door. May be left out later."),
    ] = None,
    *,
    database_url: DatabaseUrl = "",
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    store: Annotated[str | None, typer.Option(help="The store's id; made where there is none.")] = None,
    store_name: Annotated[str | None, typer.Option(help="What people call the store.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The store's, as in Europe/Paris.")] = None,
    line: Annotated[
        str | None, typer.Option(help="x1,y1,x2,y2 from 0 to 1. It takes the place of the lines before.")
    ] = None,
    line_id: Annotated[str, typer.Option(help="The line's id.")] = "line",
    in_side: Annotated[
        InSide, typer.Option("--in", help="The side that counts as IN, walking along the line.")
    ] = InSide.RIGHT,
    anchor: Annotated[AnchorPoint, typer.Option(help="The point of a person that has to cross.")] = AnchorPoint.CENTER,
    model: Annotated[str | None, typer.Option(help="The detection model.")] = None,
    policy: Annotated[str | None, typer.Option(help="latest or every; what suits the source where left out.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second to look at; the source's own where left out.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Greatest width of the frames, pixels.")] = None,
    start: Annotated[str | None, typer.Option(help="When a file begins, as in 2026-11-23T09:00:00+01:00.")] = None,
    paused: Annotated[bool | None, typer.Option("--pause/--go", help="Stop capturing, or go on.")] = None,
    again: Annotated[bool, typer.Option(help="Count a file anew that was counted already.")] = False,
) -> None:
    """Make a camera, or change what is said of one."""
    from services.api.configuration import ensure_camera  # brings SQLAlchemy; see main.py

    said = {
        "address": address,
        "name": name,
        "store": store,
        "store_name": store_name,
        "time_zone": time_zone,
        "model": model,
        "policy": policy,
        "paused": paused,
        "start": None if start is None else start_ns(start),
        "again": again,
        "lines": None if line is None else (_line(line_id, line, in_side, anchor),),
    }
    capture = {"fps": fps, "width": width}
    url = _checked(database_url)
    setup = _run(_merged(url, camera, _only(said), _only(capture)))
    revision = _run(ensure_camera(url, setup))
    print(f"camera {camera}: revision {revision}")


@app.command("list")
def list_cameras(
    *,
    database_url: DatabaseUrl = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON array.")] = False,
) -> None:
    """Show all cameras. Passwords in their addresses stay hidden."""
    from services.api import configuration  # brings SQLAlchemy; see main.py
    from services.ingest.sources import redact

    cameras = _run(configuration.list_cameras(_checked(database_url)))
    if as_json:
        shown = [
            setup.model_dump(mode="json", exclude={"again"}) | {"address": redact(setup.address)} for setup in cameras
        ]
        print(json.dumps(shown, indent=2))
        return
    for setup in cameras:
        lines = ", ".join(f"{line.id} in={line.in_side}" for line in setup.lines) or "no line"
        print(f"{setup.store}/{setup.camera}  {redact(setup.address)}  {setup.model}  {setup.policy}  {lines}")
    if not cameras:
        print("There is no camera yet: metrica camera set NAME ADDRESS --line x1,y1,x2,y2 --in left|right")


@app.command("remove")
def remove_camera(
    camera: Annotated[str, typer.Argument(help="The camera's id.")], *, database_url: DatabaseUrl = ""
) -> None:
    """Take a camera away. What it counted stays."""
    from services.api import configuration  # brings SQLAlchemy; see main.py

    _run(configuration.remove_camera(_checked(database_url), camera))
    print(f"camera {camera}: removed; its counts stay")


async def _merged(url: str, camera: str, said: dict[str, object], capture: dict[str, object]) -> CameraSetup:
    """The camera as it is, with what was said over it."""
    from services.api.configuration import CameraSetup, NoSuchCamera, find_camera

    try:
        before = (await find_camera(url, camera)).model_dump(exclude={"again"})
    except NoSuchCamera:
        if "address" not in said:
            raise Refused(
                f"there is no camera {camera!r} yet: say where its pictures come from, as the second argument"
            ) from None
        before = {"camera": camera}
    if "address" in said and said["address"] != before.get("address"):
        before.pop("policy", None)  # it went with the source
        before.pop("start", None)
    return CameraSetup.model_validate({**before, **said, "capture": {**before.get("capture", {}), **capture}})


def _line(line_id: str, text: str, in_side: InSide, anchor: AnchorPoint) -> dict[str, object]:
    x1, y1, x2, y2 = points(text)
    return {"id": line_id, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "in_side": in_side.value, "anchor": anchor.value}


def _only(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if value is not None}


def _checked(database_url: str) -> str:
    if not database_url:
        raise Refused(
            "METRICA_DATABASE_URL is not set: it says which database, postgresql://user:password@host:port/name"
        )
    return database_url


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run something against the database; what a person can mend becomes `Refused`."""
    from services.api.configuration import NoSuchCamera, in_words
    from services.api.problems import DATABASE_ERRORS

    try:
        return asyncio.run(work)
    except NoSuchCamera as error:
        raise Refused(str(error)) from error
    except ValueError as error:
        raise Refused(in_words(error)) from error
    except DATABASE_ERRORS as error:
        raise Refused(f"the database does not answer: {error}. Is Metrica running (./taskw up)?") from error
