"""Requests to every route, made from the API's own description: a route that is new cannot be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from services.api.app import create_app
from services.api.settings import ApiSettings
from tests.api.seeded import Seed
from tests.api.test_access_table import TABLE, Takes

NEVER_TENANTS = re.compile(r"/v1/(auth|invitations|password)\b")
"""Routes to get in by: what they take is a secret of the caller's own, no id."""
_NAMING = {"organization", "store", "camera", "line", "user"}
"""Fields of bodies that name a thing."""
EXAMPLES: dict[str, Any] = {"string": "x", "integer": 1, "number": 0.5, "boolean": True, "object": {}, "null": None}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    parameters: tuple[str, ...]
    """Of the path."""
    query: Mapping[str, str]
    """What a request must say."""
    body: Any
    """That the API takes; None where it takes none."""
    takes: Takes | None
    """What the access table says that it takes; None where the table does not know the route yet."""

    @property
    def changes(self) -> bool:
        """Tell whether it does more than show."""
        return self.method not in {"GET", "HEAD"}

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def description() -> dict[str, Any]:
    """OpenAPI."""
    return create_app(ApiSettings.model_validate({"database_url": "postgresql://nowhere"})).openapi()


@cache
def operations() -> tuple[Operation, ...]:
    """All that can be asked of the API."""
    return tuple(_operations())


def _operations() -> Iterator[Operation]:
    known = {row.route: row for row in TABLE}
    for path, methods in description()["paths"].items():
        for method, said in methods.items():
            row = known.get((method.upper(), path))
            query = dict(pair.split("=") for pair in row.path.partition("?")[2].split("&") if pair) if row else {}
            for one in said.get("parameters", []):
                if one["in"] == "query" and one.get("required") and one["name"] not in query:
                    query[one["name"]] = str(example(one["schema"]))
            body = row.body if row else None
            if body is None and "requestBody" in said:
                (content, *_) = said["requestBody"]["content"].values()
                body = example(content["schema"])
            yield Operation(
                method.upper(), path, tuple(re.findall(r"{(\w+)}", path)), query, body, row.takes if row else None
            )


def example(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401, C901  # JSON, and a case for each kind of it
    """A value that a schema takes, as far as a few lines can tell."""
    if "$ref" in schema:
        return example(description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for name in ("default", "const"):
        if schema.get(name) is not None:
            return schema[name]
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return example(schema[name][0])
    if schema.get("type") == "object":
        wanted = schema.get("required", [])
        return {name: example(one) for name, one in schema.get("properties", {}).items() if name in wanted}
    if schema.get("type") == "array":
        return [example(schema["items"])] * max(1, schema.get("minItems", 1)) if "items" in schema else []
    if schema.get("format") == "email":
        return "somebody@acme"
    if schema.get("format") == "uuid":
        return "00000000-0000-4000-8000-000000000000"
    if schema.get("type") == "string":
        return "x" * max(1, schema.get("minLength", 1))
    if schema.get("type") in {"integer", "number"}:
        return schema.get("minimum", 1)
    return EXAMPLES.get(str(schema.get("type")), "x")


def ids(of: str, seed: Seed) -> dict[str, str]:
    """The names of an organization's things, by the names that parameters and fields have for them."""
    organization, store, camera, person = {
        "acme": ("acme", "shop", "door", "viewer@acme"),
        "other": ("other", "mall", "gate", "admin@other"),
    }[of]
    named = {
        "organization": organization,
        "store": store,
        "camera": camera,
        "user": str(seed.user(person)),
        "key": str(seed.key_ids[f"{organization}-reader"]),
        "line": "entrance",
        "promotion": "4711",
    }
    # Ids of what is drawn at random and nobody has made yet.
    return {**dict.fromkeys(_parameters(), "00000000-0000-4000-8000-000000000001"), **named}


def _parameters() -> set[str]:
    return {name for operation in operations() for name in operation.parameters}


def filled(body: Any, things: Mapping[str, str]) -> Any:  # noqa: ANN401  # JSON
    """A body about somebody's things."""
    match body:
        case dict():
            return {
                name: things[name]
                if name in things and isinstance(value, str) and name != "key"
                else filled(value, things)
                for name, value in body.items()
            }
        case list():
            return [filled(one, things) for one in body]
        case str():
            return re.sub(r"{(\w+)}", lambda found: things.get(found[1], "new"), body)
        case _:
            return body
