"""The picture of a sweep: errors over one dimension, a curve for each combination of the others, a panel for a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from services.cli.console.errors import Refused
from services.cli.evaluation.score import Score
from services.cli.evaluation.sweep import Dimension, Setting, Sweep, told

FORMATS = (".png", ".svg")
LABELS = {
    Dimension.FPS: "frames per second",
    Dimension.RATE: "part of the clip's frame rate",
    Dimension.WIDTH: "greatest width, pixels",
    Dimension.QUALITY: "JPEG quality",
    Dimension.DETECTOR: "detector",
}


class SweepPlot:
    """A picture to be drawn once the results are there. What would hinder it is told before the work begins."""

    def __init__(self, path: Path, tried: Sweep) -> None:
        """Prepare the picture: the first dimension that was given is drawn from left to right.

        Raises:
            Refused: nothing is swept, or the picture could not be written.
        """
        if not tried.values:
            raise Refused(f"--plot {path}: there is nothing to draw without --sweep, as in --sweep fps=1,2,5,10,25")
        if path.suffix.lower() not in FORMATS:
            raise Refused(f"--plot {path}: give a file that ends in {' or '.join(FORMATS)}")
        if not path.parent.is_dir():
            raise Refused(f"--plot {path}: there is no folder {path.parent}")
        if find_spec("matplotlib") is None:
            raise Refused("--plot needs matplotlib: pip install 'metrica[eval]'")
        self._path = path
        self._across, *self._others = tried.values
        self._values = tried.values[self._across]

    def draw(self, results: Mapping[Setting, Sequence[Score]]) -> None:
        """Write the picture.

        Raises:
            Refused: the file cannot be written.
        """
        # A tenth of a second and 30 MB that only this needs; a figure of its own asks for no display.
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        clips = next(iter(results.values()))
        columns = max(1, len(clips))
        figure = Figure(figsize=(1.2 + 3.4 * columns, 3.4), layout="constrained")
        panels = figure.subplots(1, columns, squeeze=False)[0]
        curves, places = self._curves(results), [told(value) for value in self._values]
        for rank, (panel, clip) in enumerate(zip(panels, clips, strict=False)):
            for number, (label, scores) in enumerate(curves.items()):
                errors = [of_clips[rank].matching.missed + of_clips[rank].matching.false for of_clips in scores]
                # Curves that fall together stay visible: each is thinner than the one below it.
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
            raise Refused(f"--plot {self._path} cannot be written: {error.strerror}") from error

    def _curves(self, results: Mapping[Setting, Sequence[Score]]) -> dict[str, list[Sequence[Score]]]:
        """The results of each combination of the other dimensions, in the order of the first one's values."""
        curves: dict[str, list[Sequence[Score]]] = {}
        for setting, scores in results.items():
            values = [f"{other} {setting.told(other)}" for other in self._others]
            curves.setdefault(", ".join(values).replace("detector ", ""), []).append(scores)
        return curves
