"""`metrica eval`: how right the counts are, on clips with known truth."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.errors import Refused, plainly

if TYPE_CHECKING:
    from services.cli.matching import Matching
    from services.cli.progress import Progress
    from services.cli.truth import Clip
    from services.detector.protocol import Detector


@dataclass(frozen=True, slots=True)
class ClipResult:
    """A clip's count beside its truth."""

    clip: str
    ins: int
    outs: int
    truth_in: int
    truth_out: int
    matching: Matching

    def as_json(self) -> dict[str, str | int]:
        """The clip's object in `--json`."""
        return {
            "clip": self.clip,
            "in": self.ins,
            "out": self.outs,
            "truth_in": self.truth_in,
            "truth_out": self.truth_out,
            "matched": self.matching.matched,
            "missed": self.matching.missed,
            "false": self.matching.false,
            "wrong_direction": self.matching.wrong_direction,
        }


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Holds the clips and truth.json.", show_default=False)],
    detector: Annotated[
        str | None,
        typer.Option(
            help="A model's name, an .xml or .onnx file, or motion. \\[default: person-detection-0200]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    clip: Annotated[list[str] | None, typer.Option(help="Only this clip; may be repeated.", show_default=False)] = None,
    fps: Annotated[
        float | None, typer.Option(help="Look at so many frames a second. \\[default: all]", show_default=False)
    ] = None,
) -> None:
    """Count the clips that FOLDER/truth.json describes, and compare with their truth.

    A counted crossing matches a true one of its direction that is at most 6 frames away, 12 in clips of more than 10
    frames a second; each is used once. "wrong" are false ones that have a missed one of the other direction near them.
    """
    with plainly():
        from contracts.spec import CameraSpec
        from services.cli.pipeline import open_model
        from services.cli.progress import Progress
        from services.cli.truth import read_truth

        clips = read_truth(folder)
        chosen = clip or list(clips)
        if unknown := [name for name in chosen if name not in clips]:
            raise Refused(f"--clip {unknown[0]}: {folder / 'truth.json'} describes {', '.join(clips) or 'no clip'}")
        model = detector or CameraSpec.model_fields["model"].default
        with Progress() as progress:
            found = open_model(model, progress.download)
            results = [_evaluate(folder / name, clips[name], model, found, fps, progress) for name in chosen]
    if as_json:
        print(json.dumps({"clips": [result.as_json() for result in results]}))
    else:
        _show(results, found.model.name)


def _evaluate(
    path: Path, clip: Clip, model: str, detector: Detector, fps: float | None, progress: Progress
) -> ClipResult:
    from contracts.identity import Direction
    from contracts.spec import CameraSpec, Capture
    from services.cli.matching import Instant, match
    from services.cli.pipeline import Pipeline
    from services.ingest.videofile import open_video

    with closing(open_video(path)) as source:
        spec = CameraSpec(
            store="store",
            camera="camera",
            model=model,
            policy=source.policy,
            capture=Capture(fps=fps),
            lines=(clip.counting_line,),
        )
        pipeline = Pipeline(source, spec, detector, start=0)
        for _ in progress.over(pipeline.run(), length=source.length, what=path.name):
            pass
    tally, truth = pipeline.tally, clip.truth
    counted = [Instant(crossing.at / 1e9 * clip.fps, crossing.direction) for crossing in tally.crossings]
    return ClipResult(
        clip=path.name,
        ins=tally.count(Direction.IN),
        outs=tally.count(Direction.OUT),
        truth_in=sum(instant.direction is Direction.IN for instant in truth),
        truth_out=sum(instant.direction is Direction.OUT for instant in truth),
        matching=match(counted, truth, tolerance=clip.tolerance),
    )


def _show(results: list[ClipResult], model: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{model}: counted / true", title_justify="left", show_footer=len(results) > 1)
    headings = ("IN", "OUT", "matched", "missed", "false", "wrong")
    rows = [
        (r.ins, r.truth_in, r.outs, r.truth_out, r.matching.matched, r.matching.missed, r.matching.false,
         r.matching.wrong_direction)
        for r in results
    ]  # fmt: skip
    sums = [sum(column) for column in zip(*rows, strict=True)]
    table.add_column("clip", footer="all")
    for heading, footer in zip(headings, _cells(sums), strict=True):
        table.add_column(heading, justify="right", footer=footer)
    for result, row in zip(results, rows, strict=True):
        table.add_row(result.clip, *_cells(list(row)))
    Console().print(table)


def _cells(numbers: list[int]) -> list[str]:
    """`numbers`: IN, true IN, OUT, true OUT, then what stands alone."""
    ins, true_ins, outs, true_outs, *rest = numbers or [0] * 8
    return [f"{ins} / {true_ins}", f"{outs} / {true_outs}", *map(str, rest)]
