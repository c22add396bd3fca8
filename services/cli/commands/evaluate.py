"""`metrica eval`: accuracy of the counts, on clips with known truth, with one setting or many."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from contracts.spec import CameraSpec
from services.cli.console.errors import CommandError, plainly
from services.cli.console.progress import ProgressBars
from services.cli.counting.pipeline import open_model
from services.cli.evaluation import score_report, sweep_report
from services.cli.evaluation.mot import evaluate_mot, is_mot
from services.cli.evaluation.score import Score, score
from services.cli.evaluation.shared_pass import Count, count_together
from services.cli.evaluation.sweep import Setting, Sweep
from services.cli.evaluation.sweep_plot import SweepPlot
from services.cli.evaluation.truth import Clip, read_truth
from services.detector.backends.protocol import Detector
from services.ingest.sources.video_file import open_video


def evaluate(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the clips and truth.json, or MOT text.", show_default=False)
    ],
    detector: Annotated[
        str | None,
        typer.Option(
            help="Name of a model, an .xml or .onnx file, or motion. \\[default: person-detection-0200]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    clip: Annotated[
        list[str] | None, typer.Option(help="Limit to this clip; may be repeated.", show_default=False)
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Target frames per second. \\[default: all]", show_default=False)
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="Try each of these: fps=1,2,5,10,25; rate=1,1/2,1/4 (of the clip's own); width=320,640; "
            "quality=50,85; detector=NAME,NAME. May be repeated: all combinations are tried.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the sweep into this .png or .svg. Needs metrica\\[eval].", show_default=False),
    ] = None,
) -> None:
    """Count the clips that FOLDER/truth.json describes, and compare the crossings with the truth.

    A counted crossing matches a true one of its direction that is at most 6 frames away (12 in clips of more than 10
    frames per second); each is matched once. "wrong" are false ones near a missed one of the other direction. For a
    clip that is longer than a quarter of an hour, each quarter is shown, too.

    A FOLDER of MOT text (det/det.txt and gt/gt.txt, or folders with these) tests the tracker alone: MOTA, IDF1, HOTA,
    ID switches. --fps is then the sequences' frame rate; without it, that of seqinfo.ini, or 25.
    """
    with plainly():
        if is_mot(folder):
            if detector or clip or sweep or plot:
                raise CommandError(f"{folder} holds MOT text: only the options --fps and --json apply to it")
            evaluate_mot(folder, fps=fps, as_json=as_json)
            return
        clips = read_truth(folder)
        chosen = clip or list(clips)
        if unknown := [name for name in chosen if name not in clips]:
            raise CommandError(
                f"--clip {unknown[0]}: {folder / 'truth.json'} describes {', '.join(clips) or 'no clip'}"
            )
        varied = Sweep.parse(sweep or [])
        varied.refuse(detector=detector, fps=fps)
        drawing = SweepPlot(plot, varied) if plot is not None else None
        settings = varied.settings(Setting(fps=fps) if detector is None else Setting(detector, fps=fps))
        with ProgressBars() as progress:
            models = _open(settings, progress)
            by_clip = [_evaluate(folder / name, clips[name], models, progress) for name in chosen]
        results = {setting: tuple(scores[setting] for scores in by_clip) for setting in settings}
        if drawing is not None:
            drawing.draw(results)
    _report(results, varied, as_json=as_json)


def _open(settings: Sequence[Setting], progress: ProgressBars) -> dict[Setting, Detector]:
    """Open the detector of each setting. Settings with the same model share one, unless it is stateful."""
    opened: dict[str, Detector] = {}
    detectors = {}
    for setting in settings:
        detector = opened.get(setting.detector)
        if detector is None or detector.stateful:
            detector = opened[setting.detector] = open_model(setting.detector, progress.download)
        detectors[setting] = detector
    return detectors


def _evaluate(
    path: Path, clip: Clip, models: Mapping[Setting, Detector], progress: ProgressBars
) -> dict[Setting, Score]:
    with closing(open_video(path)) as source:
        counts = {
            setting: Count(
                source,
                CameraSpec(
                    store="store",
                    camera="camera",
                    model=setting.detector,
                    policy=source.policy,
                    capture=setting.capture(source.fps or clip.fps),
                    lines=(clip.counting_line,),
                ),
                detector,
            )
            for setting, detector in models.items()
        }
        together = count_together(source, list(counts.values()))
        last_ns = deque(progress.over(together, length=source.length, what=path.name), maxlen=1).pop()
    return {
        setting: score(
            path.name,
            clip,
            count.tally.crossings,
            fps=count.spec.capture.fps,
            seconds=last_ns / 1e9,
        )
        for setting, count in counts.items()
    }


def _report(results: Mapping[Setting, Sequence[Score]], varied: Sweep, *, as_json: bool) -> None:
    if varied.values and as_json:
        print(json.dumps(sweep_report.as_json(results)))
    elif varied.values:
        sweep_report.show(results, varied)
    else:
        ((setting, scores),) = results.items()
        if as_json:
            print(json.dumps({"clips": [score.as_json() for score in scores]}))
        else:
            score_report.show(scores, setting.detector)
