"""Base schemas of requests and responses. The rules for texts are in `services.api.http.texts`."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from services.api.http.texts import checked, is_storable, tidy, tidy_name

__all__ = ["Incoming", "Label", "Name", "Patch", "RowOut", "TimeZone", "WallTime", "is_storable"]

LONGEST_NAME = 100


def _tidied(value: object) -> object:
    return tidy(value) if isinstance(value, str) else value


def _named(value: object) -> object:
    return tidy_name(value) if isinstance(value, str) else value


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_NAME,
        description="Display name. Surrounding blanks are removed; control characters, and characters that change the "
        "direction of writing, are refused.",
        examples=["Main street"],
    ),
    BeforeValidator(_named),
]
Label = Annotated[str, Field(max_length=LONGEST_NAME), BeforeValidator(_tidied)]
"""An optional name; empty if there is none."""


class Incoming(BaseModel):
    """A request body: no unknown fields, and no texts that a database cannot store or that deceive readers."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, body: Any) -> Any:  # noqa: ANN401  # whatever was sent
        _check(body)
        return body

    @field_validator("*")
    @classmethod
    def _shown(cls, value: object) -> object:
        """Check texts. Passwords are `SecretStr`, and may contain any character."""
        return checked(value) if isinstance(value, str) else value


class Patch(Incoming):
    """A PATCH body: omitted fields are unchanged."""

    @property
    def changes(self) -> dict[str, Any]:
        """Values of the fields that the body contains."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class RowOut(BaseModel):
    """A response whose fields are columns of a row."""

    @classmethod
    def of(cls, row: BaseModel) -> Self:
        """The schema of a row. An error of validation shows no other column, such as a hash."""
        return cls.model_validate(row.model_dump(include=set(cls.model_fields)))


def _known(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone: write it as Europe/Paris, Africa/Tunis or UTC")
    return name


TimeZone = Annotated[
    str, AfterValidator(_known), Field(description="IANA name.", examples=["Africa/Tunis", "Europe/Paris"])
]

# JSON Schema's "time" has an offset; this is a wall-clock time.
WallTime = Annotated[time, WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d:\d\d", "examples": ["04:00:00"]})]


def _check(body: object) -> None:
    left = [body]  # without recursion, which the deepest body that the JSON parser accepts would exceed
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
