"""Output of `metrica count`: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from contracts.identity import Direction
from contracts.spec import CountingLine
from services.cli.counting.pipeline import CountResult


@dataclass(frozen=True, slots=True)
class KnownTotals:
    """Numbers of true crossings in each direction."""

    ins: int
    outs: int

    def error_percent(self, tally: CountResult) -> float:
        """Return the sum of both directions' errors, in percent of the true crossings."""
        off = abs(tally.count(Direction.IN) - self.ins) + abs(tally.count(Direction.OUT) - self.outs)
        return 100 * off / max(1, self.ins + self.outs)


def as_json(
    tally: CountResult, lines: Sequence[CountingLine], truth: KnownTotals | None, notes: Sequence[str] = ()
) -> dict[str, JsonValue]:
    """Make the object of `--json`; `in` and `out` are sums over all lines, `notes` are remarks on the source."""
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


def show(tally: CountResult, lines: Sequence[CountingLine], truth: KnownTotals | None, start: int) -> None:
    """Print the crossings and the totals.

    Args:
        tally: of the finished session.
        lines: the camera's.
        truth: of a source that knows it.
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
