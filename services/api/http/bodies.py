"""What every body that is sent to the API has in common. The rules of texts stand in `services.api.http.texts`."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from services.api.http.texts import checked, is_storable, tidy, tidy_name

__all__ = ["Incoming", "Label", "Name", "Patch", "TimeZone", "is_storable"]

LONGEST_NAME = 100


def _tidied(said: object) -> object:
    return tidy(said) if isinstance(said, str) else said


def _named(said: object) -> object:
    return tidy_name(said) if isinstance(said, str) else said


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_NAME,
        description="What people call it. Blanks around it are dropped; control characters, and those that turn the "
        "direction of writing, are refused.",
        examples=["Main street"],
    ),
    BeforeValidator(_named),
]
Label = Annotated[str, Field(max_length=LONGEST_NAME), BeforeValidator(_tidied)]
"""The same of what may go without a name: then it is empty."""


class Incoming(BaseModel):
    """A body: nothing unknown in it, and no text that a database cannot hold or that is not what it looks like."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, said: Any) -> Any:  # noqa: ANN401  # whatever was sent
        _check(said)
        return said

    @field_validator("*")
    @classmethod
    def _shown(cls, value: object) -> object:
        """Texts; passwords are no `str` here, and may hold what they like."""
        return checked(value) if isinstance(value, str) else value


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
