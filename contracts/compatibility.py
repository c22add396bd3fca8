"""Detection of incompatible schema changes: for old readers of new messages, and for new readers of old ones.

The broker keeps messages for weeks, and services are replaced one by one, so that both happen at every release. A
schema may therefore gain optional properties only; anything else needs another version of the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic.json_schema import JsonSchemaValue

_FLOORS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_CEILINGS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_SHAPES = ("pattern", "format", "multipleOf", "uniqueItems")


def breaking_changes(old: JsonSchemaValue, new: JsonSchemaValue) -> list[str]:
    """List the changes by which a reader with one of two schemas could not read messages of the other.

    Args:
        old: JSON Schema of the messages that exist.
        new: the schema that is to replace it.

    Returns:
        One sentence per change, with the place in the message; empty for compatible schemas.
    """
    return list(_Comparison(old.get("$defs", {}), new.get("$defs", {})).differences("message", old, new))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The definitions of two schemas, to which their references point."""

    old_definitions: Mapping[str, JsonSchemaValue]
    new_definitions: Mapping[str, JsonSchemaValue]

    def differences(self, where: str, old: JsonSchemaValue, new: JsonSchemaValue) -> Iterator[str]:
        old_kinds = _kinds(old, self.old_definitions)
        new_kinds = _kinds(new, self.new_definitions)
        for kind in old_kinds.keys() - new_kinds.keys():
            yield f"{where}: {kind} is not taken any more"
        for kind in new_kinds.keys() - old_kinds.keys():
            yield f"{where}: can now be {kind}, which old readers do not know"
        for kind in old_kinds.keys() & new_kinds.keys():
            yield from self._of_one_kind(where, old_kinds[kind], new_kinds[kind])

    def _of_one_kind(self, where: str, old: JsonSchemaValue, new: JsonSchemaValue) -> Iterator[str]:
        yield from _values(where, old, new)
        yield from _bounds(where, old, new)
        yield from self._properties(where, old, new)
        yield from self._items(where, old, new)

    def _properties(self, where: str, old: JsonSchemaValue, new: JsonSchemaValue) -> Iterator[str]:
        old_properties, new_properties = old.get("properties", {}), new.get("properties", {})
        old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(old_properties.keys() - new_properties.keys()):
            yield f"{where}.{name}: was removed"
        for name in sorted(new_required - old_required):
            yield f"{where}.{name}: is now required, and old messages may lack it"
        for name in sorted((old_required - new_required) & new_properties.keys()):
            yield f"{where}.{name}: may now be missing, and old readers require it"
        for name in sorted(old_properties.keys() & new_properties.keys()):
            yield from self.differences(f"{where}.{name}", old_properties[name], new_properties[name])

    def _items(self, where: str, old: JsonSchemaValue, new: JsonSchemaValue) -> Iterator[str]:
        if "items" in old or "items" in new:
            yield from self.differences(f"{where}[]", old.get("items", {}), new.get("items", {}))
        old_places, new_places = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(old_places) != len(new_places):
            yield f"{where}: has {len(new_places)} fixed places instead of {len(old_places)}"
        for place, (before, after) in enumerate(zip(old_places, new_places, strict=False)):
            yield from self.differences(f"{where}[{place}]", before, after)


def _kinds(schema: JsonSchemaValue, definitions: Mapping[str, JsonSchemaValue]) -> dict[str, JsonSchemaValue]:
    """Return the alternatives of a schema, keyed by type; objects with a `kind` by that."""
    if "$ref" in schema:
        return _kinds(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return {kind: resolved for part in alternatives for kind, resolved in _kinds(part, definitions).items()}
    if schema.get("type") == "object" and "properties" in schema:
        kind = schema["properties"].get("kind", {}).get("const")
        return {f"an object of kind {kind!r}" if kind else "an object": schema}
    return {str(schema.get("type", "anything")): schema}


def _values(where: str, old: JsonSchemaValue, new: JsonSchemaValue) -> Iterator[str]:
    old_values, new_values = _allowed(old), _allowed(new)
    if old_values == new_values:
        return
    if old_values is None or new_values is None:
        yield f"{where}: is {'no longer' if new_values is None else 'now'} one of a list of values"
        return
    for value in sorted(old_values - new_values):
        yield f"{where}: {value} is not taken any more"
    for value in sorted(new_values - old_values):
        yield f"{where}: can now be {value}, which old readers do not know"


def _allowed(schema: JsonSchemaValue) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(value) for value in schema["enum"]} if "enum" in schema else None


def _bounds(where: str, old: JsonSchemaValue, new: JsonSchemaValue) -> Iterator[str]:
    for name in (*_FLOORS, *_CEILINGS):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        tighter = after is not None and (before is None or (after > before) == (name in _FLOORS))
        effect = "old messages may not keep to it" if tighter else "old readers refuse what lies beyond"
        yield f"{where}: {name} is {_or_none(after)} instead of {_or_none(before)}, and {effect}"
    for name in _SHAPES:
        if old.get(name) != new.get(name):
            yield f"{where}: {name} is {_or_none(new.get(name))} instead of {_or_none(old.get(name))}"


def _or_none(value: object) -> str:
    return "none" if value is None else repr(value)
