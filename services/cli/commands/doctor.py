"""`metrica doctor`: a diagnosis of a camera that does not count, from a minute of video, in words and a picture."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.spec import Anchor, CameraSpec, CountingLine, Side
from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import points

if TYPE_CHECKING:
    from pydantic import JsonValue

    from services.cli.diagnosis.examination import Diagnosis
    from services.cli.diagnosis.observing import Observed
    from services.ingest.decoding.facts import Facts
    from services.ingest.source import FrameSource

MAX_SECONDS = 60.0
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
        Side | None,
        typer.Option("--in", help="The side that counts as IN, walking from x1,y1 to x2,y2.", show_default=False),
    ] = None,
    anchor: Annotated[
        Anchor | None, typer.Option(help="The point of a person that crosses.", show_default=False)
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Name of a model, an .xml or .onnx file, or motion.", show_default=False),
    ] = None,
    picture: Annotated[Path, typer.Option(help="Where to write the picture of the diagnosis, .png or .jpg.")] = Path(
        "doctor.png"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object on stdout.")] = False,
    seconds: Annotated[
        float, typer.Option(min=5, max=MAX_SECONDS, help="Length of the video to examine.")
    ] = MAX_SECONDS,
    begin: Annotated[float, typer.Option("--from", min=0, help="Seconds of a file to skip first.")] = 0.0,
) -> None:
    """Examine a minute of SOURCE: report the reasons why people are not counted, and propose a line that counts them.

    Prints a finding per line, the most important first, each with its remedy. Exit code 1 if there is a problem.
    """
    with plainly(), ExitStack() as stack:
        _check_picture(picture)
        from services.cli.console.progress import ProgressBars
        from services.cli.counting.pipeline import open_model
        from services.cli.diagnosis.checks_video import about_video
        from services.cli.diagnosis.clip import SourceClip
        from services.cli.diagnosis.examination import diagnose
        from services.cli.diagnosis.observing import observe
        from services.ingest.sources.opening import open_source
        from services.ingest.sources.video_file import VideoFile

        address, spec = _subject(source)
        frames = open_source(address)
        stack.callback(frames.close)
        spec = _with_options(spec, frames, line, in_, anchor, detector)
        progress = stack.enter_context(ProgressBars())
        model = open_model(spec.model, progress.download)
        observed = observe(SourceClip(frames, begin=begin, seconds=seconds), spec, model, progress)
        video = frames.facts(begin=begin) if isinstance(frames, VideoFile) else None
        diagnosis = diagnose(observed.observation, spec.lines, about_video(video, frames.name) if video else ())
        _write(picture, observed, diagnosis, spec.lines)
    report = _Report(frames, video, spec, observed, diagnosis, picture)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        report.show()
    if not diagnosis.well:
        raise typer.Exit(1)


def _subject(source: str) -> tuple[str, CameraSpec]:
    """Return the address to open and the spec to use: of a camera of a running Metrica, or of any source."""
    from contracts.identity import TOKEN_PATTERN

    database = os.environ.get("METRICA_DATABASE_URL", "")
    is_id = re.match(TOKEN_PATTERN, source) and not source.isdecimal() and not Path(source).exists()
    if database and is_id:
        return _camera(database, source)
    model = "motion" if source.startswith("sim:") else CameraSpec.model_fields["model"].default
    return source, CameraSpec(store="store", camera="camera", model=model)


def _camera(database: str, camera: str) -> tuple[str, CameraSpec]:
    """Read a camera's address and spec from the database."""
    from services.api.cameras.repository import NoSuchCamera, find_camera
    from services.api.http.problems import DATABASE_ERRORS
    from services.kit.vault import Vault

    try:
        vault = Vault(os.environ.get("METRICA_SECRET_KEY"))
        setup = asyncio.run(find_camera(database, camera, vault))
        return vault.open(setup.address), setup.spec(1)
    except ValueError as error:
        raise CommandError(f"camera {camera}: its address cannot be read: {error}") from error
    except NoSuchCamera as error:
        raise CommandError(f"{error}; nor is there a file of that name") from error
    except DATABASE_ERRORS as error:
        raise CommandError(f"the database does not answer: {error}. Is Metrica running (./taskw up)?") from error


def _with_options(
    spec: CameraSpec,
    frames: FrameSource,
    line: str | None,
    in_: Side | None,
    anchor: Anchor | None,
    detector: str | None,
) -> CameraSpec:
    """Apply the command's options to a spec."""
    from services.ingest.sources.simulation import SimulatedDoor

    lines = spec.lines
    if line is not None:
        x1, y1, x2, y2 = points(line)
        lines = (CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2),)
    elif not lines and isinstance(frames, SimulatedDoor):
        lines = (frames.line,)
    if in_ is not None and not lines:
        raise CommandError(f"--in {in_.value} needs a line: give --line x1,y1,x2,y2 too")
    changes: dict[str, object] = {}
    if in_ is not None:
        changes["in_side"] = in_
    if anchor is not None:
        changes["anchor"] = anchor
    return spec.model_copy(
        update={
            "model": detector or spec.model,
            "policy": frames.policy,
            "lines": tuple(drawn.model_copy(update=changes) for drawn in lines),
        }
    )


def _check_picture(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise CommandError(f"--picture {path}: the picture is a .png or .jpg; give it a name that ends so")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(f"--picture {path}: cannot write there; name another place")


def _write(path: Path, observed: Observed, diagnosis: Diagnosis, lines: tuple[CountingLine, ...]) -> None:
    import cv2

    from services.cli.diagnosis.drawing import draw

    done, data = cv2.imencode(path.suffix, draw(observed.scene, observed.observation, diagnosis, lines))
    assert done
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise CommandError(f"--picture {path}: cannot write there: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Report:
    """The results of an examination, for output."""

    source: FrameSource
    video: Facts | None
    spec: CameraSpec
    observed: Observed
    diagnosis: Diagnosis
    picture: Path

    def as_json(self) -> dict[str, JsonValue]:
        observation, diagnosis, proposal = self.observed.observation, self.diagnosis, self.diagnosis.proposal
        view: JsonValue = {key: round(value, 4) for key, value in asdict(observation.view).items()}
        return {
            "source": self.source.name,
            "video": None if self.video is None else _video(self.video),
            "notes": [note.text for note in self.source.notes],
            "model": self.spec.model,
            "seconds": round(observation.seconds, 1),
            "frames": self.observed.frames,
            "rate": round(observation.rate, 2),
            "walkers": diagnosis.walkers,
            "well": diagnosis.well,
            "findings": [
                {
                    "code": finding.code.value,
                    "severity": finding.severity.value,
                    "line": finding.line,
                    "what": finding.what,
                    "advice": finding.advice,
                    "figures": dict(finding.figures),
                }
                for finding in diagnosis.findings
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
            "picture": str(self.picture),
        }

    def show(self) -> None:
        observation, diagnosis, proposal = self.observed.observation, self.diagnosis, self.diagnosis.proposal
        size = "{}x{}".format(*observation.size)
        people = "1 person walks" if diagnosis.walkers == 1 else f"{diagnosis.walkers} people walk"
        typer.echo(
            f"{self.source.name}: {observation.seconds:.0f} s, {self.observed.frames} frames of {size}, {people}; "
            f"{self.spec.model}"
        )
        if self.video is not None:
            typer.echo(f"video: {self.video}")
        for note in self.source.notes:
            typer.echo(f"note: {note.text}")
        for finding in diagnosis.findings:
            mark = typer.style(f"{finding.severity.value}:", fg=_COLOURS[finding.severity.value], bold=True)
            typer.echo(f"{mark} {finding.sentence}")
        if proposal and self.spec.lines and not diagnosis.well:
            typer.echo(f"a line that counts {proposal.people} of {proposal.walkers} here: {proposal.pasted}")
        typer.echo(f"picture: {self.picture}")


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
        "tracks": [asdict(track) for track in facts.tracks],
    }
