"""Opening hours of a store: local times of each weekday."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Span = tuple[str, str]
"""Opening and closing time, local, HH:MM; a day ends at 24:00."""


def _in_order(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    for opens, closes in spans:
        for moment in (opens, closes):
            if not _TIME.fullmatch(moment):
                raise ValueError(f"{moment!r} is no time of day: write it as 09:30; a day ends at 24:00")
        if opens >= closes:
            raise ValueError(f"{opens} to {closes} ends before it begins: what is after midnight is of the next day")
    for (_, closes), (opens, _) in pairwise(spans):
        if opens < closes:
            raise ValueError(f"{opens} is before {closes}: write the spans of a day in their order")
    return spans


Spans = Annotated[tuple[Span, ...], AfterValidator(_in_order)]


class OpeningHours(BaseModel):
    """The spans of each weekday, in order. A store without any is always open.

    {"monday": [["09:00", "12:30"], ["14:00", "19:00"]], "saturday": [["10:00", "24:00"]]}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    monday: Spans = ()
    tuesday: Spans = ()
    wednesday: Spans = ()
    thursday: Spans = ()
    friday: Spans = ()
    saturday: Spans = ()
    sunday: Spans = ()

    @property
    def restricted(self) -> bool:
        """Tell whether there is any span, without which the store is always open."""
        return any(self.of(weekday) for weekday in range(7))

    def of(self, weekday: int) -> tuple[Span, ...]:
        """The spans of a weekday; 0 is Monday."""
        spans: tuple[Span, ...] = getattr(self, WEEKDAYS[weekday])
        return spans
