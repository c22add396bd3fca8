"""Plot of a sweep: errors over one dimension, a curve for each combination of the others, a panel for each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from services.cli.console.errors import CommandError
from services.cli.evaluation.score import Score
from services.cli.evaluation.sweep import Dimension, Setting, Sweep, text_of

FORMATS = (".png", ".svg")
LABELS = {
    Dimension.FPS: "frames per second",
    Dimension.RATE: "part of the clip's frame rate",
    Dimension.WIDTH: "greatest width, pixels",
    Dimension.QUALITY: "JPEG quality",
    Dimension.DETECTOR: "detector",
}


class SweepPlot:
    """A plot of results. Its prerequisites are checked when it is made, before the sweep begins."""

    def __init__(self, path: Path, varied: Sweep) -> None:
        """Prepare the plot. The first given dimension is the horizontal axis.

        Raises:
            CommandError: nothing is varied, or the file could not be written.
        """
        if not varied.values:
            raise CommandError(
                f"--plot {path}: there is nothing to draw without --sweep, as in --sweep fps=1,2,5,10,25"
            )
        if path.suffix.lower() not in FORMATS:
            raise CommandError(f"--plot {path}: give a file that ends in {' or '.join(FORMATS)}")
        if not path.parent.is_dir():
            raise CommandError(f"--plot {path}: there is no folder {path.parent}")
        if find_spec("matplotlib") is None:
            raise CommandError("--plot needs matplotlib: pip install 'metrica[eval]'")
        self._path = path
        self._across, *self._others = varied.values
        self._values = varied.values[self._across]

    def draw(self, results: Mapping[Setting, Sequence[Score]]) -> None:
        """Write the plot.

        Raises:
            CommandError: the file cannot be written.
        """
        # Imported here, as it takes 0.1 s and 30 MB. Figure, unlike pyplot, needs no display.
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        clips = next(iter(results.values()))
        columns = max(1, len(clips))
        figure = Figure(figsize=(1.2 + 3.4 * columns, 3.4), layout="constrained")
        panels = figure.subplots(1, columns, squeeze=False)[0]
        curves, places = self._curves(results), [text_of(value) for value in self._values]
        for rank, (panel, clip) in enumerate(zip(panels, clips, strict=False)):
            for number, (label, scores) in enumerate(curves.items()):
                errors = [of_clips[rank].matching.missed + of_clips[rank].matching.false for of_clips in scores]
                # Coinciding curves stay visible: each is thinner than the one below it.
                bold = (len(curves) - number) / len(curves)
                panel.plot(places, errors, marker="o", markersize=3 + 6 * bold, linewidth=1 + 3 * bold, label=label)
            panel.set_title(f"{clip.clip}: {clip.totals.truth_in + clip.totals.truth_out} crossings", fontsize="medium")
            panel.set_xlabel(LABELS[self._across])
            panel.set_ylim(bottom=0)
            panel.yaxis.set_major_locator(MaxNLocator(integer=True))
            panel.grid(visible=True, axis="y", alpha=0.3)
        panels[0].set_ylabel("missed + false")
        if any(curves):
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        try:
            figure.savefig(self._path, dpi=120, metadata={"Date": None} if self._path.suffix == ".svg" else None)
        except OSError as error:
            raise CommandError(f"--plot {self._path} cannot be written: {error.strerror}") from error

    def _curves(self, results: Mapping[Setting, Sequence[Score]]) -> dict[str, list[Sequence[Score]]]:
        """Group the results by the other dimensions, in the order of the first one's values."""
        curves: dict[str, list[Sequence[Score]]] = {}
        for setting, scores in results.items():
            values = [f"{other} {setting.text(other)}" for other in self._others]
            curves.setdefault(", ".join(values).replace("detector ", ""), []).append(scores)
        return curves
