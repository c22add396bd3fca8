"""Output of `metrica eval --sweep`: a table or a JSON object with an entry for each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from services.cli.evaluation.score import Score
from services.cli.evaluation.sweep import Dimension, Setting, Sweep

CLIPS_SHOWN = 6
"""Greatest number of clips with a column each: of more, only the sum fits a terminal."""


def as_json(results: Mapping[Setting, Sequence[Score]]) -> dict[str, JsonValue]:
    """Make the object of `--json`."""
    return {"settings": [_object(setting, scores) for setting, scores in results.items()]}


def show(results: Mapping[Setting, Sequence[Score]], varied: Sweep) -> None:
    """Print the table."""
    clips = next(iter(results.values()))
    columns = clips if 1 < len(clips) <= CLIPS_SHOWN else ()
    true = sum(score.totals.truth_in + score.totals.truth_out for score in clips)
    model = "" if Dimension.DETECTOR in varied.values else f"{next(iter(results)).detector}: "
    table = Table(title=f"{model}{true} true crossings", title_justify="left")
    if columns:
        table.caption, table.caption_justify = "Below a clip's name: missed + false.", "left"
    for dimension in varied.values:
        table.add_column(dimension, justify="right")
    for score in columns:
        table.add_column(score.clip, justify="right")
    for heading in ("IN", "OUT", "matched", "missed", "false", "wrong"):
        table.add_column(heading, justify="right")
    for setting, scores in results.items():
        values = (setting.text(dimension) for dimension in varied.values)
        by_clip = (f"{score.matching.missed} + {score.matching.false}" for score in scores[: len(columns)])
        table.add_row(*values, *by_clip, *map(str, _sums(scores).values()))
    Console().print(table)


def _object(setting: Setting, scores: Sequence[Score]) -> JsonValue:
    return {**setting.as_json(), **_sums(scores), "clips": [score.as_json() for score in scores]}


def _sums(scores: Sequence[Score]) -> dict[str, int]:
    """Sum up all clips."""
    matchings = [score.matching for score in scores]
    return {
        "in": sum(score.totals.ins for score in scores),
        "out": sum(score.totals.outs for score in scores),
        "matched": sum(matching.matched for matching in matchings),
        "missed": sum(matching.missed for matching in matchings),
        "false": sum(matching.false for matching in matchings),
        "wrong_direction": sum(matching.wrong_direction for matching in matchings),
    }
