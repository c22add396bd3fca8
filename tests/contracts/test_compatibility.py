"""Breaking changes of schemas: shown on small models, as they are and as somebody changes them."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from contracts.compatibility import breaking_changes


class Leg(BaseModel):
    shoe: str


class Hoof(BaseModel):
    kind: Literal["hoof"] = "hoof"


class Paw(BaseModel):
    kind: Literal["paw"] = "paw"


def breaks(old: dict[str, object], new: dict[str, object]) -> list[str]:
    """The breaks that turning one set of fields into another causes."""
    models = [create_model("Thing", **fields) for fields in (old, new)]  # type: ignore[call-overload]  # fields by name
    return breaking_changes(*(model.model_json_schema() for model in models))


SMALL = Annotated[int, Field(ge=1, le=9)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({"a": (int, ...)}, {"a": (int, ...)}, id="no change"),
        pytest.param({}, {"a": (int | None, None)}, id="an optional property is added"),
        pytest.param({"a": (int, 1)}, {"a": (int, 2)}, id="another default"),
        pytest.param({"a": (Leg, ...)}, {"a": (Annotated[Leg, Field(description="left")], ...)}, id="words"),
    ],
)
def test_what_breaks_nothing(old: dict[str, object], new: dict[str, object]) -> None:
    assert breaks(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param({"a": (int, 1)}, {}, "message.a: was removed", id="a property is removed"),
        pytest.param({}, {"a": (int, ...)}, "message.a: is now required", id="a required property is added"),
        pytest.param({"a": (int, 1)}, {"a": (int, ...)}, "message.a: is now required", id="one becomes required"),
        pytest.param({"a": (int, ...)}, {"a": (int, 1)}, "message.a: may now be missing", id="one becomes optional"),
        pytest.param({"a": (float, 1)}, {"a": (int, 1)}, "message.a: number is not taken", id="a type is narrowed"),
        pytest.param({"a": (int, 1)}, {"a": (float, 1)}, "message.a: can now be number", id="a type is widened"),
        pytest.param({"a": (int | None, 1)}, {"a": (int, 1)}, "message.a: null is not taken", id="null is forbidden"),
        pytest.param({"a": (int, 1)}, {"a": (int | None, 1)}, "message.a: can now be null", id="null is allowed"),
        pytest.param(
            {"a": (Literal["x", "y"], "x")},
            {"a": (Literal["x"], "x")},
            "message.a: 'y' is not taken",
            id="a value goes",
        ),
        pytest.param(
            {"a": (Literal["x"], "x")}, {"a": (Literal["x", "y"], "x")}, "message.a: can now be 'y'", id="a value comes"
        ),
        pytest.param({"a": (str, "x")}, {"a": (Literal["x"], "x")}, "message.a: is now one of a list", id="listed"),
        pytest.param({"a": (int, 1)}, {"a": (SMALL, 1)}, "message.a: minimum is 1 instead of none, and old m", id="≥"),
        pytest.param({"a": (SMALL, 1)}, {"a": (int, 1)}, "message.a: maximum is none instead of 9, and old r", id="≤"),
        pytest.param(
            {"a": (str, "x")},
            {"a": (Annotated[str, Field(pattern="^x")], "x")},
            "message.a: pattern is '^x' instead of none",
            id="a pattern",
        ),
        pytest.param({"a": (list[int], [])}, {"a": (list[str], [])}, "message.a[]: integer is not taken", id="items"),
        pytest.param(
            {"a": (tuple[int, int], ...)},
            {"a": (tuple[int, int, int], ...)},
            "3 fixed places instead of 2",
            id="places",
        ),
        pytest.param(
            {"a": (Leg, ...)},
            {"a": (create_model("Leg", shoe=(int, ...)), ...)},
            "message.a.shoe: string is not taken",
            id="deep inside",
        ),
        pytest.param(
            {"a": (Annotated[Hoof | Paw, Field(discriminator="kind")], ...)},
            {"a": (Hoof, ...)},
            "message.a: an object of kind 'paw' is not taken any more",
            id="a kind goes",
        ),
    ],
)
def test_what_breaks_somebody(old: dict[str, object], new: dict[str, object], words: str) -> None:
    assert any(words in change for change in breaks(old, new)), breaks(old, new)
