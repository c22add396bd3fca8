"""Scores of tracks: MOTA, IDF1 and HOTA, by the library `trackers`, which follows the official TrackEval.

MOTA and ID switches: Bernardin & Stiefelhagen, Evaluating Multiple Object Tracking Performance, 2008. IDF1: Ristani et
al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016. HOTA: Luiten et al., HOTA: A
Higher Order Metric for Evaluating Multi-Object Tracking, 2021. A track matches a person if their boxes have an IoU of
one half; HOTA averages over several thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from services.cli.console.errors import CommandError
from services.cli.evaluation.mot_text import Boxes, GroundTruth, Numbers
from services.tracker.tracking.association import assign, overlaps
from services.tracker.tracking.kalman import Floats
from services.tracker.tracking.track_table import Mask

MATCH_IOU: Final = 0.5

Figures = dict[str, Any]
"""Figures by the library's names; some are arrays."""


@dataclass(frozen=True, slots=True)
class MotScore:
    """The scores of one sequence, or of several together.

    Attributes:
        mota: percent.
        idf1: percent.
        hota: percent.
        switches: number of times that a person's track id changed.
        false: number of boxes without a person.
        missed: number of people's boxes without a track.
        parts: the library's figures, from which sequences are summed up.
    """

    mota: float
    idf1: float
    hota: float
    switches: int
    false: int
    missed: int
    parts: tuple[Figures, Figures, Figures]

    @classmethod
    def of(cls, clear: Figures, identity: Figures, hota: Figures) -> MotScore:
        """Convert the library's figures."""
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
        """Return the scores for `--json`."""
        percents = {"mota": self.mota, "idf1": self.idf1, "hota": self.hota}
        counts = {"id_switches": self.switches, "false": self.false, "missed": self.missed}
        return {name: round(percent, 2) for name, percent in percents.items()} | counts


def score_tracks(truth: GroundTruth, tracks: Boxes, frames: int) -> MotScore:
    """Compare tracks with the truth, over frames 1 to `frames`.

    Raises:
        CommandError: the library is not installed.
    """
    library = _library()
    names: list[Numbers] = []
    tracked: list[Numbers] = []
    overlap: list[Floats] = []
    by_frame = (boxes.by_frame(frames) for boxes in (_numbered(truth.people), truth.ignored, _numbered(tracks)))
    for people, ignored, boxes in zip(*by_frame, strict=True):
        judged = boxes.take(~_on_distractors(people, ignored, boxes))
        names.append(people.person)
        tracked.append(judged.person)
        overlap.append(overlaps(people.corners, judged.corners)[0])
    return MotScore.of(
        library.compute_clear_metrics(names, tracked, overlap, threshold=MATCH_IOU),
        library.compute_identity_metrics(names, tracked, overlap, threshold=MATCH_IOU),
        library.compute_hota_metrics(names, tracked, overlap),
    )


def combined(scores: Many[MotScore]) -> MotScore:
    """Combine the scores of several sequences as if they were one: by frames rather than by averages."""
    library = _library()
    clear, identity, hota = ([score.parts[kind] for score in scores] for kind in range(3))
    return MotScore.of(
        library.aggregate_clear_metrics(clear),
        library.aggregate_identity_metrics(identity),
        library.aggregate_hota_metrics(hota),
    )


def _on_distractors(people: Boxes, ignored: Boxes, boxes: Boxes) -> Mask:
    """Mark the boxes of a frame that match a distractor rather than a person, (N,). They are not judged."""
    on = np.zeros(len(boxes), np.bool_)
    if len(ignored) and len(boxes):
        all_true = np.concatenate([people.corners, ignored.corners])
        rows, columns = assign(1.0 - overlaps(all_true, boxes.corners)[0], 1.0 - MATCH_IOU)
        on[columns[rows >= len(people)]] = True
    return on


def _numbered(boxes: Boxes) -> Boxes:
    """Renumber the people of boxes from 0."""
    return replace(boxes, person=np.asarray(np.unique(boxes.person, return_inverse=True)[1], np.int64))


class _Library(Protocol):
    """The part of `trackers.eval` in use. Arguments: for N frames, ids of people, ids of tracks, and their IoU."""

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
        raise CommandError("the figures of MOT text need the library trackers: pip install metrica[eval]") from error
    metrics: _Library = library
    return metrics
