"""What `metrica count` says at its end, to people and to programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from contracts.identity import Direction
from contracts.spec import CountingLine
from services.cli.counting.pipeline import Tally


@dataclass(frozen=True, slots=True)
class Truth:
    """How many crossings there really are in each direction."""

    ins: int
    outs: int

    def error_percent(self, tally: Tally) -> float:
        """What the count is off by in both directions together, in percent of the true crossings."""
        off = abs(tally.count(Direction.IN) - self.ins) + abs(tally.count(Direction.OUT) - self.outs)
        return 100 * off / max(1, self.ins + self.outs)


def as_json(
    tally: Tally, lines: Sequence[CountingLine], truth: Truth | None, notes: Sequence[str] = ()
) -> dict[str, JsonValue]:
    """The object that ends `--json`; `in` and `out` are those of all lines together, `notes` remarks on the source."""
    result: dict[str, JsonValue] = {
        "in": tally.count(Direction.IN),
        "out": tally.count(Direction.OUT),
        "lines": [
            {
                "line": line.id,
                "in": tally.count(Direction.IN, line.id),
                "out": tally.count(Direction.OUT, line.id),
                "in_name": line.in_name,
                "out_name": line.out_name,
            }
            for line in lines
        ],
        "crossings": [crossing.model_dump(mode="json", exclude_none=True) for crossing in tally.crossings],
        "session": tally.session,
        "frames": tally.frames,
        "skipped": tally.skipped,
        "model": tally.model.model_dump(mode="json"),
        "notes": list(notes),
    }
    if truth is not None:
        result |= {
            "truth_in": truth.ins,
            "truth_out": truth.outs,
            "error_percent": round(truth.error_percent(tally), 2),
        }
    return result


def show(tally: Tally, lines: Sequence[CountingLine], truth: Truth | None, start: int) -> None:
    """Print the crossings and the totals.

    Args:
        tally: of the finished session.
        lines: that were counted over.
        truth: where it is known.
        start: captured_at of the source's first instant, ns UTC.
    """
    console = Console(highlight=False)
    table = Table(box=None)
    several = len(lines) > 1
    for heading in ("time", "", "frame", *(["line"] if several else [])):
        table.add_column(heading, justify="right")
    for crossing in tally.crossings:
        minutes, seconds = divmod((crossing.at - start) / 1e9, 60)
        over = [crossing.line] if several else []
        table.add_row(f"{minutes:.0f}:{seconds:04.1f}", crossing.direction.upper(), str(crossing.seq), *over)
    if tally.crossings:
        console.print(table)
    for line in lines:
        if several or line.in_name or line.out_name:
            ins, outs = (tally.count(direction, line.id) for direction in Direction)
            console.print(f"{line.id}: IN {ins}{_to(line.in_name)}  OUT {outs}{_to(line.out_name)}")
    skipped = f", {tally.skipped} of them skipped" if tally.skipped else ""
    console.print(
        f"[bold]IN {tally.count(Direction.IN)}  OUT {tally.count(Direction.OUT)}[/]"
        f"  ({tally.frames} frames{skipped}; {tally.model.name})"
    )
    if truth is not None:
        error = truth.error_percent(tally)
        console.print(f"truth: IN {truth.ins}  OUT {truth.outs}  (error {error:.1f} %)")


def _to(side: str) -> str:
    return f" (to {side})" if side else ""
