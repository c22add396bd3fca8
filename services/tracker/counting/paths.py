"""Records the paths of tracks, as pieces of simplified paths: the data for recounts, heat maps and dwell times.

Tracks that were never confirmed are recorded, too: such a box may still split a person's track in two, or touch a
person at a line, and a recount must see the same boxes as the count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

from services.tracker.counting import path_simplification as simplification
from services.tracker.counting.path_simplification import OpenPath, PathPiece
from services.tracker.tracking.tracker import EndedTrack, Sighting


class RecordedPiece(NamedTuple):
    """A finished piece of a track's path, the last one if `final`. Unless `confirmed`, it is no person so far."""

    track: int
    piece: PathPiece
    final: bool
    confirmed: bool


class PathRecorder:
    """The unfinished paths, by track number."""

    def __init__(self) -> None:
        self._open: dict[int, OpenPath] = {}
        self._confirmed: set[int] = set()

    def see(self, sightings: Iterable[Sighting], at: int, before: int) -> list[RecordedPiece]:
        """Take in a frame's sightings.

        Args:
            sightings: of the frame.
            at: time of the frame, ns.
            before: time of the frame before it, ns.

        Returns:
            the pieces that are finished, as they are long enough.
        """
        pieces: list[RecordedPiece] = []
        for person in sightings:
            if person.confirmed:
                self._confirmed.add(person.track)
            path = self._open.get(person.track)
            if path is None:
                self._open[person.track] = simplification.begin(at, person.box)
                continue
            missed = path.last.at < before
            self._open[person.track], piece = simplification.extend(path, at, person.box, missed=missed)
            if piece is not None:
                pieces.append(RecordedPiece(person.track, piece, final=False, confirmed=person.confirmed))
        return pieces

    def forget(self, ended: Iterable[EndedTrack]) -> list[RecordedPiece]:
        """Finish the paths of tracks that ended."""
        pieces: list[RecordedPiece] = []
        for track in ended:
            path = self._open.pop(track.track, None)
            self._confirmed.discard(track.track)
            if path is not None:
                pieces.append(
                    RecordedPiece(track.track, simplification.finish(path), final=True, confirmed=track.confirmed)
                )
        return pieces

    def resize(self, x: float, y: float) -> list[RecordedPiece]:
        """Go on in pixels of a frame `x` times as wide and `y` times as high. Finishes the pieces in old pixels."""
        pieces: list[RecordedPiece] = []
        for track, path in self._open.items():
            pieces.append(
                RecordedPiece(track, simplification.finish(path), final=False, confirmed=track in self._confirmed)
            )
            at, (x1, y1, x2, y2) = path.last
            self._open[track] = simplification.begin(at, (x1 * x, y1 * y, x2 * x, y2 * y), path.part + 1)
        return pieces

    def state(self) -> dict[int, OpenPath]:
        """The unfinished paths, for a checkpoint. The set of confirmed tracks is in the tracker's state."""
        return dict(self._open)

    @classmethod
    def restore(cls, open_paths: dict[int, OpenPath], confirmed: Iterable[int]) -> Self:
        """Go on from a checkpoint.

        Args:
            open_paths: by track number.
            confirmed: numbers of the confirmed tracks.
        """
        recorder = cls()
        recorder._open, recorder._confirmed = dict(open_paths), set(confirmed)
        return recorder
