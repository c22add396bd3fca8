"""Output of `metrica eval` for one setting: a table of the clips, and the quarters of an hour of long ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from services.cli.evaluation.score import QUARTER, Score, Totals


def show(scores: Sequence[Score], model: str) -> None:
    """Print a table of the clips, and one of the quarters of each long clip."""
    console = Console()
    console.print(_clips(scores, model))
    for score in scores:
        if score.quarters:
            # As a title it would be wrapped to the table's width.
            console.print(f"{score.clip} by the quarter of an hour: counted / true", style="italic")
            console.print(_quarters(score))


def _clips(scores: Sequence[Score], model: str) -> Table:
    table = Table(title=f"{model}: counted / true", title_justify="left", show_footer=len(scores) > 1)
    matchings = [score.matching for score in scores]
    columns = {
        "matched": [matching.matched for matching in matchings],
        "missed": [matching.missed for matching in matchings],
        "false": [matching.false for matching in matchings],
        "wrong": [matching.wrong_direction for matching in matchings],
    }
    table.add_column("clip", footer="all")
    for heading, footer in zip(("IN", "OUT"), _cells(Totals.sum(score.totals for score in scores)), strict=True):
        table.add_column(heading, justify="right", footer=footer)
    for heading, column in columns.items():
        table.add_column(heading, justify="right", footer=str(sum(column)))
    for score, *row in zip(scores, *columns.values(), strict=True):
        table.add_row(score.clip, *_cells(score.totals), *map(str, row))
    return table


def _quarters(score: Score) -> Table:
    table = Table("minutes")
    for heading in ("IN", "OUT"):
        table.add_column(heading, justify="right")
    minutes = QUARTER // 60
    for number, totals in enumerate(score.quarters):
        table.add_row(f"{number * minutes} – {(number + 1) * minutes}", *_cells(totals))
    return table


def _cells(totals: Totals) -> tuple[str, str]:
    return f"{totals.ins} / {totals.truth_in}", f"{totals.outs} / {totals.truth_out}"
