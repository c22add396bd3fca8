"""What `metrica eval --sweep` prints: one row for each setting, one object in `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from services.cli.evaluation.score import Score
from services.cli.evaluation.sweep import Dimension, Setting, Sweep

CLIPS_SHOWN = 6
"""So many clips have a column each; of more, only the sum fits a terminal."""


def as_json(results: Mapping[Setting, Sequence[Score]]) -> dict[str, JsonValue]:
    """The object of `--json`."""
    return {"settings": [_object(setting, scores) for setting, scores in results.items()]}


def show(results: Mapping[Setting, Sequence[Score]], tried: Sweep) -> None:
    """Print the table."""
    clips = next(iter(results.values()))
    shown = clips if 1 < len(clips) <= CLIPS_SHOWN else ()
    true = sum(score.totals.truth_in + score.totals.truth_out for score in clips)
    model = "" if Dimension.DETECTOR in tried.values else f"{next(iter(results)).detector}: "
    table = Table(title=f"{model}{true} true crossings", title_justify="left")
    if shown:
        table.caption, table.caption_justify = "Below a clip's name: missed + false.", "left"
    for dimension in tried.values:
        table.add_column(dimension, justify="right")
    for score in shown:
        table.add_column(score.clip, justify="right")
    for heading in ("IN", "OUT", "matched", "missed", "false", "wrong"):
        table.add_column(heading, justify="right")
    for setting, scores in results.items():
        swept = (setting.told(dimension) for dimension in tried.values)
        by_clip = (f"{score.matching.missed} + {score.matching.false}" for score in scores[: len(shown)])
        table.add_row(*swept, *by_clip, *map(str, _sums(scores).values()))
    Console().print(table)


def _object(setting: Setting, scores: Sequence[Score]) -> JsonValue:
    return {**setting.as_json(), **_sums(scores), "clips": [score.as_json() for score in scores]}


def _sums(scores: Sequence[Score]) -> dict[str, int]:
    """Of all clips together."""
    found = [score.matching for score in scores]
    return {
        "in": sum(score.totals.ins for score in scores),
        "out": sum(score.totals.outs for score in scores),
        "matched": sum(matching.matched for matching in found),
        "missed": sum(matching.missed for matching in found),
        "false": sum(matching.false for matching in found),
        "wrong_direction": sum(matching.wrong_direction for matching in found),
    }
