"""What `metrica doctor` can find, and in which order of importance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How a finding bears on the counts."""

    PROBLEM = "problem"
    """Counts are wrong, or there are none, until somebody changes this."""
    WARNING = "warning"
    """Some counts are likely wrong."""
    QUESTION = "question"
    """Only somebody who knows the place can say."""
    FINE = "fine"


class Code(StrEnum):
    """The findings, the most important first: what spoils the picture spoils all that follows."""

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
    """One thing that was found.

    Attributes:
        what: is the case, in one sentence part that begins in lower case and ends without a full stop.
        advice: what to do, likewise.
        line: the id of the line that it is about.
        figures: what it rests on.
    """

    code: Code
    severity: Severity
    what: str
    advice: str = ""
    line: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """In words, on one line."""
        return f"{self.what}: {self.advice}" if self.advice else self.what


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """The most important first: by severity, then in the order of the codes."""
    severities, codes = list(Severity), list(Code)
    return tuple(sorted(findings, key=lambda one: (severities.index(one.severity), codes.index(one.code))))
