"""`metrica doctor`: why nothing counts, from a minute of video, in words and a picture."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.errors import Refused, plainly
from services.cli.console.options import AnchorPoint, InSide, points

if TYPE_CHECKING:
    from pydantic import JsonValue

    from contracts.spec import CameraSpec, CountingLine
    from services.cli.diagnosis.examination import Diagnosis
    from services.cli.diagnosis.observing import Observed
    from services.ingest.decoding.facts import Facts
    from services.ingest.source import FrameSource

MOST_SECONDS = 60.0
_COLOURS = {"problem": "red", "warning": "yellow", "question": "cyan", "fine": "green"}


def doctor(
    source: Annotated[
        str,
        typer.Argument(
            help="A video file, rtsp://…, http://…, a device number, sim://door, or the id of a camera "
            "(METRICA_DATABASE_URL).",
            show_default=False,
        ),
    ],
    line: Annotated[
        str | None,
        typer.Option(help="x1,y1,x2,y2 from 0 to 1, y down. Without one, a line is proposed.", show_default=False),
    ] = None,
    in_: Annotated[
        InSide | None,
        typer.Option("--in", help="The side that counts as IN, walking from x1,y1 to x2,y2.", show_default=False),
    ] = None,
    anchor: Annotated[
        AnchorPoint | None, typer.Option(help="The point of a person that crosses.", show_default=False)
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="A model's name, an .xml or .onnx file, or motion.", show_default=False),
    ] = None,
    picture: Annotated[Path, typer.Option(help="Where to write what was seen, .png or .jpg.")] = Path("doctor.png"),
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object on stdout.")] = False,
    seconds: Annotated[float, typer.Option(min=5, max=MOST_SECONDS, help="How long to look.")] = MOST_SECONDS,
    begin: Annotated[float, typer.Option("--from", min=0, help="Seconds of a file to pass over first.")] = 0.0,
) -> None:
    """Look at a minute of SOURCE, and say why people are not counted, and where a line would count them.

    One finding per line, the most important first, each with what to do. Ends with 1 where something is wrong.
    """
    with plainly(), ExitStack() as stack:
        _check_picture(picture)
        from services.cli.console.progress import Progress
        from services.cli.counting.pipeline import open_model
        from services.cli.diagnosis.checks_video import about_video
        from services.cli.diagnosis.clip import Stretch
        from services.cli.diagnosis.examination import diagnose
        from services.cli.diagnosis.observing import observe
        from services.ingest.sources.opening import open_source
        from services.ingest.sources.video_file import VideoFile

        address, spec = _subject(source)
        frames = open_source(address)
        stack.callback(frames.close)
        spec = _as_asked(spec, frames, line, in_, anchor, detector)
        progress = stack.enter_context(Progress())
        model = open_model(spec.model, progress.download)
        observed = observe(Stretch(frames, begin=begin, seconds=seconds), spec, model, progress)
        video = frames.facts(begin=begin) if isinstance(frames, VideoFile) else None
        diagnosis = diagnose(observed.observation, spec.lines, about_video(video, frames.name) if video else ())
        _write(picture, observed, diagnosis, spec.lines)
    if as_json:
        print(json.dumps(_as_json(frames, video, spec, observed, diagnosis, picture), indent=2))
    else:
        _show(frames, video, spec, observed, diagnosis, picture)
    if not diagnosis.well:
        raise typer.Exit(1)


def _subject(source: str) -> tuple[str, CameraSpec]:
    """The address to open and the spec to look with: of a camera of a running Metrica, or of any source."""
    from contracts.identity import TOKEN_PATTERN
    from contracts.spec import CameraSpec

    database = os.environ.get("METRICA_DATABASE_URL", "")
    named = re.match(TOKEN_PATTERN, source) and not source.isdecimal() and not Path(source).exists()
    if database and named:
        return _camera(database, source)
    model = "motion" if source.startswith("sim:") else CameraSpec.model_fields["model"].default
    return source, CameraSpec(store="store", camera="camera", model=model)


def _camera(database: str, camera: str) -> tuple[str, CameraSpec]:
    """A camera as it is set in the database."""
    from services.api.cameras.repository import NoSuchCamera, find_camera
    from services.api.http.problems import DATABASE_ERRORS
    from services.kit.vault import Vault

    try:
        vault = Vault(os.environ.get("METRICA_SECRET_KEY"))
        setup = asyncio.run(find_camera(database, camera, vault))
        return vault.open(setup.address), setup.spec(1)
    except ValueError as error:
        raise Refused(f"camera {camera}: its address cannot be read: {error}") from error
    except NoSuchCamera as error:
        raise Refused(f"{error}; nor is there a file of that name") from error
    except DATABASE_ERRORS as error:
        raise Refused(f"the database does not answer: {error}. Is Metrica running (./taskw up)?") from error


def _as_asked(
    spec: CameraSpec,
    frames: FrameSource,
    line: str | None,
    in_: InSide | None,
    anchor: AnchorPoint | None,
    detector: str | None,
) -> CameraSpec:
    """The spec with what was said on the command line."""
    from contracts.spec import Anchor, CountingLine, Side
    from services.ingest.sources.simulation import SimulatedDoor

    lines = spec.lines
    if line is not None:
        x1, y1, x2, y2 = points(line)
        lines = (CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2),)
    elif not lines and isinstance(frames, SimulatedDoor):
        lines = (frames.line,)
    if in_ is not None and not lines:
        raise Refused(f"--in {in_.value} needs a line: give --line x1,y1,x2,y2 too")
    said: dict[str, object] = {}
    if in_ is not None:
        said["in_side"] = Side(in_.value)
    if anchor is not None:
        said["anchor"] = Anchor(anchor.value)
    return spec.model_copy(
        update={
            "model": detector or spec.model,
            "policy": frames.policy,
            "lines": tuple(one.model_copy(update=said) for one in lines),
        }
    )


def _check_picture(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise Refused(f"--picture {path}: the picture is a .png or .jpg; give it a name that ends so")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Refused(f"--picture {path}: cannot write there; name another place")


def _write(path: Path, observed: Observed, diagnosis: Diagnosis, lines: tuple[CountingLine, ...]) -> None:
    import cv2

    from services.cli.diagnosis.drawing import draw

    done, data = cv2.imencode(path.suffix, draw(observed.scene, observed.observation, diagnosis, lines))
    assert done
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise Refused(f"--picture {path}: cannot write there: {error.strerror}") from error


def _as_json(
    source: FrameSource,
    video: Facts | None,
    spec: CameraSpec,
    observed: Observed,
    diagnosis: Diagnosis,
    picture: Path,
) -> dict[str, JsonValue]:
    seen, proposal = observed.observation, diagnosis.proposal
    view: JsonValue = {key: round(value, 4) for key, value in asdict(seen.view).items()}
    return {
        "source": source.name,
        "video": None if video is None else _video(video),
        "notes": [note.text for note in source.notes],
        "model": spec.model,
        "seconds": round(seen.seconds, 1),
        "frames": observed.frames,
        "rate": round(seen.rate, 2),
        "walkers": diagnosis.walkers,
        "well": diagnosis.well,
        "findings": [
            {
                "code": one.code.value,
                "severity": one.severity.value,
                "line": one.line,
                "what": one.what,
                "advice": one.advice,
                "figures": dict(one.figures),
            }
            for one in diagnosis.findings
        ],
        "proposal": None
        if proposal is None
        else {
            "line": [proposal.line.x1, proposal.line.y1, proposal.line.x2, proposal.line.y2],
            "in": proposal.line.in_side.value,
            "paste": proposal.pasted,
            "people": proposal.people,
            "ins": proposal.ins,
            "outs": proposal.outs,
            "side_known": proposal.side_known,
        },
        "view": view,
        "picture": str(picture),
    }


def _video(facts: Facts) -> JsonValue:
    fields = facts.fields
    return {
        "container": facts.container,
        "coding": facts.coding,
        "width": facts.width,
        "height": facts.height,
        "rate": facts.rate,
        "light": facts.light,
        "marked": None if fields is None else fields.marked.value,
        "shown": None if fields is None or fields.shown is None else fields.shown.value,
        "track": facts.track,
        "tracks": [asdict(one) for one in facts.tracks],
    }


def _show(
    source: FrameSource,
    video: Facts | None,
    spec: CameraSpec,
    observed: Observed,
    diagnosis: Diagnosis,
    picture: Path,
) -> None:
    seen = observed.observation
    width, height = seen.size
    people = "1 person walks" if diagnosis.walkers == 1 else f"{diagnosis.walkers} people walk"
    typer.echo(
        f"{source.name}: {seen.seconds:.0f} s, {observed.frames} frames of {width}x{height}, {people}; {spec.model}"
    )
    if video is not None:
        typer.echo(f"video: {video}")
    for note in source.notes:
        typer.echo(f"note: {note.text}")
    for one in diagnosis.findings:
        mark = typer.style(f"{one.severity.value}:", fg=_COLOURS[one.severity.value], bold=True)
        typer.echo(f"{mark} {one.sentence}")
    if diagnosis.proposal and spec.lines and not diagnosis.well:
        proposal = diagnosis.proposal
        typer.echo(f"a line that counts {proposal.people} of {proposal.walkers} here: {proposal.pasted}")
    typer.echo(f"picture: {picture}")
