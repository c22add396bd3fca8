"""Findings of `metrica doctor`, in order of importance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Effect of a finding on the counts."""

    PROBLEM = "problem"
    """Counts are wrong or missing until this is fixed."""
    WARNING = "warning"
    """Some counts are likely wrong."""
    QUESTION = "question"
    """Depends on the place: a person who knows it must decide."""
    FINE = "fine"


class Code(StrEnum):
    """Kinds of findings, the most important first: a bad picture causes the later ones, too."""

    BLACK = "black"
    TOO_DARK = "too_dark"
    FROZEN = "frozen"
    LOW_CONTRAST = "low_contrast"
    CAMERA_MOVED = "camera_moved"
    NOBODY = "nobody"
    NOBODY_WALKS = "nobody_walks"
    TOO_SMALL = "too_small"
    RATE_TOO_LOW = "rate_too_low"
    LINE_OUTSIDE = "line_outside"
    LINE_ALONG = "line_along"
    LINE_AT_THE_END = "line_at_the_end"
    NO_CROSSING = "no_crossing"
    LINE_TOO_SHORT = "line_too_short"
    STANDING_ON_LINE = "standing_on_line"
    FIELDS = "fields"
    CAMERA_SHAKES = "camera_shakes"
    SWAPPED = "swapped"
    NO_LINE = "no_line"
    ALL_WELL = "all_well"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding.

    Attributes:
        what: the fact, as a clause that begins in lower case and ends without a full stop.
        advice: the remedy, likewise.
        line: id of the line concerned.
        figures: the numbers behind it.
    """

    code: Code
    severity: Severity
    what: str
    advice: str = ""
    line: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The finding as one line of text."""
        return f"{self.what}: {self.advice}" if self.advice else self.what


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity, then by code; the most important first."""
    severities, codes = list(Severity), list(Code)
    return tuple(sorted(findings, key=lambda each: (severities.index(each.severity), codes.index(each.code))))
