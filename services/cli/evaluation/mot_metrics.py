"""How well tracks fit the truth: MOTA, IDF1 and HOTA, by the library `trackers`, which follows the official TrackEval.

MOTA and ID switches: Bernardin & Stiefelhagen, Evaluating Multiple Object Tracking Performance, 2008. IDF1: Ristani et
al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016. HOTA: Luiten et al., HOTA: A
Higher Order Metric for Evaluating Multi-Object Tracking, 2021. A track fits a person where their boxes overlap by half;
HOTA averages over more and less.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from services.cli.console.errors import Refused
from services.cli.evaluation.mot_text import Boxes, Numbers, Truth
from services.tracker.tracking.association import assign, overlaps
from services.tracker.tracking.kalman import Floats
from services.tracker.tracking.track_table import Mask

FITS: Final = 0.5

Figures = dict[str, Any]
"""Of the library, by their names there; some are arrays."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The figures of one sequence, or of several together.

    Attributes:
        mota, idf1, hota: percent.
        switches: how often a person's box went over to another track.
        false: boxes where nobody is.
        missed: people's boxes that no track has.
        parts: what the library needs to add sequences up.
    """

    mota: float
    idf1: float
    hota: float
    switches: int
    false: int
    missed: int
    parts: tuple[Figures, Figures, Figures]

    @classmethod
    def of(cls, clear: Figures, identity: Figures, hota: Figures) -> Fit:
        """From the library's figures."""
        return cls(
            mota=100 * float(clear["MOTA"]),
            idf1=100 * float(identity["IDF1"]),
            hota=100 * float(hota["HOTA"]),
            switches=int(clear["IDSW"]),
            false=int(clear["CLR_FP"]),
            missed=int(clear["CLR_FN"]),
            parts=(clear, identity, hota),
        )

    def as_json(self) -> dict[str, int | float]:
        """The figures in `--json`."""
        percents = {"mota": self.mota, "idf1": self.idf1, "hota": self.hota}
        counts = {"id_switches": self.switches, "false": self.false, "missed": self.missed}
        return {name: round(percent, 2) for name, percent in percents.items()} | counts


def fit(truth: Truth, tracks: Boxes, frames: int) -> Fit:
    """Compare tracks with the truth, over so many frames.

    Raises:
        Refused: the library is not installed.
    """
    library = _library()
    names: list[Numbers] = []
    found: list[Numbers] = []
    overlap: list[Floats] = []
    by_frame = (boxes.by_frame(frames) for boxes in (_numbered(truth.people), truth.ignored, _numbered(tracks)))
    for people, ignored, seen in zip(*by_frame, strict=True):
        judged = seen.take(~_on_distractors(people, ignored, seen))
        names.append(people.person)
        found.append(judged.person)
        overlap.append(overlaps(people.corners, judged.corners)[0])
    return Fit.of(
        library.compute_clear_metrics(names, found, overlap, threshold=FITS),
        library.compute_identity_metrics(names, found, overlap, threshold=FITS),
        library.compute_hota_metrics(names, found, overlap),
    )


def together(fits: Many[Fit]) -> Fit:
    """The figures of several sequences as if they were one: frames are added, not averages averaged."""
    library = _library()
    clear, identity, hota = ([fit.parts[kind] for fit in fits] for kind in range(3))
    return Fit.of(
        library.aggregate_clear_metrics(clear),
        library.aggregate_identity_metrics(identity),
        library.aggregate_hota_metrics(hota),
    )


def _on_distractors(people: Boxes, ignored: Boxes, seen: Boxes) -> Mask:
    """(N,) which boxes of a frame are on somebody whom a tracker may follow or not, rather than on a person."""
    on = np.zeros(len(seen), np.bool_)
    if len(ignored) and len(seen):
        everybody = np.concatenate([people.corners, ignored.corners])
        rows, columns = assign(1.0 - overlaps(everybody, seen.corners)[0], 1.0 - FITS)
        on[columns[rows >= len(people)]] = True
    return on


def _numbered(boxes: Boxes) -> Boxes:
    """The same boxes, their people named by numbers from 0."""
    return replace(boxes, person=np.asarray(np.unique(boxes.person, return_inverse=True)[1], np.int64))


class _Library(Protocol):
    """What is used of `trackers.eval`: N frames' names of people and of tracks, and how alike their boxes are."""

    def compute_clear_metrics(self, *frames: list[Any], threshold: float) -> Figures: ...
    def compute_identity_metrics(self, *frames: list[Any], threshold: float) -> Figures: ...
    def compute_hota_metrics(self, *frames: list[Any]) -> Figures: ...
    def aggregate_clear_metrics(self, sequences: list[Figures], /) -> Figures: ...
    def aggregate_identity_metrics(self, sequences: list[Figures], /) -> Figures: ...
    def aggregate_hota_metrics(self, sequences: list[Figures], /) -> Figures: ...


def _library() -> _Library:
    try:
        from trackers import eval as library
    except ImportError as error:
        raise Refused("the figures of MOT text need the library trackers: pip install metrica[eval]") from error
    metrics: _Library = library
    return metrics
