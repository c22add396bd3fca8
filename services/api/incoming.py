"""What every body that is sent to the API has in common."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=100, description="What people call it.", examples=["Main street"])]


class Incoming(BaseModel):
    """A body: nothing unknown in it, and no text that a database cannot hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, said: Any) -> Any:  # noqa: ANN401  # whatever was sent
        _check(said)
        return said


class Patch(Incoming):
    """Changes: what is not said stays as it is."""

    @property
    def said(self) -> dict[str, Any]:
        """What was said, by field."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _known(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone: write it as Europe/Paris, Africa/Tunis or UTC")
    return name


TimeZone = Annotated[
    str, AfterValidator(_known), Field(description="IANA name.", examples=["Africa/Tunis", "Europe/Paris"])
]


def is_storable(text: str) -> bool:
    """Whether a database can hold a text, and an answer repeat it."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _check(said: object) -> None:
    left = [said]  # without recursion: what the JSON parser could just read would be too deep for us
    while left:
        match left.pop():
            case str() as text if not is_storable(text):
                raise ValueError("a text holds a character that none may hold (U+0000, or half of a pair)")
            case dict() as named:
                left += (*named.keys(), *named.values())
            case list() | tuple() as parts:
                left += parts
            case _:
                pass
