"""`metrica count`: count the people in one video, in one process."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.errors import CommandError, plainly
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
    polygons,
    start_ns,
)
from services.cli.console.signals import ending_in_order

if TYPE_CHECKING:
    from contracts.spec import Capture, CountingLine
    from services.cli.counting.report import KnownTotals
    from services.ingest.source import FrameSource

STORE, LINE = "store", "line"


def count(
    source: Annotated[str, typer.Argument(help="A video file, or sim://door?people=20&pace=max.", show_default=False)],
    line: LineOption = None,
    in_: InOption = None,
    anchor: AnchorOption = None,
    in_name: InNameOption = None,
    out_name: OutNameOption = None,
    region: RegionOption = None,
    ignore: IgnoreOption = None,
    min_height: MinHeightOption = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help="Name of a model, an .xml or .onnx file, or motion. \\[default: person-detection-0200; motion for sim://]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on stdout.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(help="Write an .mp4 with boxes, lines, regions and totals.", show_default=False)
    ] = None,
    camera: Annotated[str, typer.Option(help="The camera's id, a part of each crossing's id.")] = "camera",
    line_id: Annotated[
        list[str] | None, typer.Option(help="The line's id, likewise. \\[default: line]", show_default=False)
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Time of the video's first frame, as 2026-11-23T09:00:00+01:00. \\[default: now]", show_default=False
        ),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Target frames per second. \\[default: all]", show_default=False)
    ] = None,
    width: Annotated[int, typer.Option(help="Greatest width of the frames, pixels.")] = 960,
    track: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The video track to read, if the file has several. \\[default: the main one]",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="The video's frames per second, if the file's own times are wrong.", show_default=False),
    ] = None,
) -> None:
    """Count the people in SOURCE by crossings of one or more lines.

    The frames pass the same codec, detector, tracker and crossing rule as in the services: with the same camera, line
    and start, the crossings have the same ids.
    """
    began = time.time_ns() // 1000 * 1000 if start is None else start_ns(start)
    with plainly(), ExitStack() as stack:
        from contracts.area import DetectionArea
        from contracts.spec import CameraSpec, Capture
        from services.cli.console.progress import ProgressBars
        from services.cli.counting import report
        from services.cli.counting.pipeline import Pipeline, open_model

        capture = Capture(fps=fps, width=width, track=track, rate=rate)
        frames = _open(source, capture)
        stack.callback(frames.close)
        words = LineWords(line or (), line_id or (), in_ or (), anchor or (), in_name or (), out_name or ())
        model = detector or ("motion" if source.startswith("sim:") else CameraSpec.model_fields["model"].default)
        spec = CameraSpec(
            store=STORE,
            camera=camera,
            model=model,
            policy=frames.policy,
            capture=capture,
            lines=_lines(frames, words),
            detection=DetectionArea(
                regions=polygons("--region", region or ()),
                ignore=polygons("--ignore", ignore or ()),
                min_height=min_height or 0.0,
            ),
        )
        progress = stack.enter_context(ProgressBars())
        pipeline = Pipeline(frames, spec, open_model(model, progress.download), start=began)
        video = None
        if annotate is not None:
            from services.cli.counting.annotation import AnnotatedVideo

            if frames.name == str(annotate) or (
                annotate.exists() and Path(source).exists() and annotate.samefile(source)
            ):
                raise CommandError(f"--annotate {annotate} is the source itself: give the annotated video another name")
            stack.enter_context(ending_in_order())
            video = stack.enter_context(AnnotatedVideo(annotate, pipeline.size, pipeline.rate, spec, start=began))
        for processed in progress.over(pipeline.run(), length=frames.length):
            if video is not None:
                video.write(processed)
        notes = frames.notes
        truth = _truth(frames) if len(spec.lines) == 1 else None
    for note in notes:
        hint = f"; {note.option} changes it" if note.option else ""
        typer.echo(f"{frames.name}: {note.text}{hint}", err=True)
    if as_json:
        print(json.dumps(report.as_json(pipeline.tally, spec.lines, truth, [note.text for note in notes])))
    else:
        report.show(pipeline.tally, spec.lines, truth, began)
    if video is not None and video.failure is not None:
        raise video.failure


def _open(address: str, capture: Capture) -> FrameSource:
    from contracts.address import redact
    from contracts.identity import Policy
    from services.ingest.source import SourceRefused
    from services.ingest.sources.opening import open_source
    from services.ingest.sources.simulation import SimulatedDoor

    source = open_source(address, track=capture.track, rate=capture.rate)
    if isinstance(source, SimulatedDoor):
        if source.length is None:
            source.close()
            raise SourceRefused(
                f"{redact(address)} never ends: give the number of people, as in sim://door?people=20&pace=max"
            )
    elif source.policy is Policy.LATEST:
        source.close()
        raise SourceRefused(f"{source.name} is live: `metrica count` reads files; a camera is counted by the services")
    return source


def _lines(source: FrameSource, words: LineWords) -> tuple[CountingLine, ...]:
    from contracts.spec import CountingLine
    from services.ingest.sources.simulation import SimulatedDoor

    if words.lines:
        if not words.sides:
            raise CommandError("--in is missing: say on which side of the line an IN ends, left or right")
        return tuple(CountingLine.model_validate(fields) for fields in words.read())
    if not isinstance(source, SimulatedDoor):
        raise CommandError("--line is missing: say where to count, as in --line 0.5,0,0.5,1 --in right")
    own = source.line.model_dump() | {"id": words.ids[0] if words.ids else LINE}
    return tuple(CountingLine.model_validate(fields) for fields in words.over([own]))


def _truth(source: FrameSource) -> KnownTotals | None:
    from contracts.identity import Direction
    from services.cli.counting.report import KnownTotals
    from services.ingest.sources.simulation import SimulatedDoor

    if not isinstance(source, SimulatedDoor):
        return None
    crossings = source.truth()
    ins = sum(crossing.direction is Direction.IN for crossing in crossings)
    return KnownTotals(ins, len(crossings) - ins)
