"""The operations that the services' code has: subscriptions and publications, by the subjects and streams they name.

It reads the sources, and runs nothing. A call that names its subject or stream by a variable is taken to have any of
those that its service names.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contracts import streams, subjects
from contracts.streams import Bucket, Owner, Stream
from infra.nats.asyncapi import channels
from tests.lint.measurements import Module

RECEIVING = {"jetstream_subscriber", "subscribed", "subscribed_in_batches", "subscriber", "watch", "get_last_msg"}
SENDING = {"publish", "try_publish", "send", "request", "publisher"}
_KIT = "services.kit."

_OF_CONSTANTS = {name: value for name, value in vars(streams).items() if isinstance(value, Stream | Bucket)}
_SUBJECTS = {"PROBE": "probe", "PROBE_CANCEL": "probe_cancel", "EVERY_STATUS": "status"}
_SUBJECT_FUNCTIONS = {"dead_letter": "dlq"} | {kind.value: kind.value for kind in subjects.Kind}


def _channels_of(stored: Stream | Bucket) -> frozenset[str]:
    if isinstance(stored, Bucket):
        return frozenset({f"kv_{stored.name}"})
    return frozenset(channel.name for channel in channels() if channel.stream == stored)


@dataclass(frozen=True)
class Call:
    """A call that receives or sends.

    Attributes:
        place: path and line.
        action: `send` or `receive`.
        channels: that it may be about, by their names in the document; empty where none can be told.
        sure: true where the call itself names its channel.
    """

    place: str
    action: str
    channels: frozenset[str]
    sure: bool


def calls(service: Sequence[Module]) -> Iterator[Call]:
    """The calls of a service's modules."""
    everywhere = _named(module.tree for module in service)
    for module in service:
        for node in module.walk(ast.Call):
            assert isinstance(node, ast.Call)
            if (action := _action(node)) is None:
                continue
            own = _named(node.args)
            yield Call(f"{module.path}:{node.lineno}", action, own or everywhere, bool(own))


def without_operation(service: Owner, modules: Mapping[str, Module], operations: Collection[str]) -> list[str]:
    """The calls of a service that no operation is about, one line each."""
    own = [module for name, module in modules.items() if _belongs(name, service)]
    missing = []
    for call in calls(own):
        unknown = {name for name in call.channels if f"{service}.{call.action}.{name}" not in operations}
        if unknown if call.sure else unknown == call.channels:
            missing.append(f"{call.place}: {call.action} {', '.join(sorted(unknown)) or 'something unknown'}")
    return missing


def without_code(service: Owner, modules: Mapping[str, Module], operations: Collection[str]) -> set[str]:
    """The operations of a service whose channel none of its code names."""
    named = _named(module.tree for module in _with_kit(service, modules))
    return {each for each in operations if each.startswith(f"{service}.") and each.rpartition(".")[2] not in named}


def _with_kit(service: Owner, modules: Mapping[str, Module]) -> Iterator[Module]:
    """A service's modules, and those of the kit that they import."""
    seen: set[str] = set()
    pending = [name for name in modules if _belongs(name, service)]
    while pending:
        name = pending.pop()
        if name not in seen and name in modules:
            seen.add(name)
            yield modules[name]
            pending += [each for each in _imports(modules[name]) if each.startswith(_KIT)]


def _belongs(module: str, service: Owner) -> bool:
    return f"{module}.".startswith(f"services.{service}.")


def _action(call: ast.Call) -> str | None:
    """The action of a call: `receive`, `send`, or none of them."""
    match call.func:
        case ast.Name(id=name) if name in RECEIVING:
            return "receive"
        case ast.Attribute(attr="get_last_msg"):
            return "receive"
        case ast.Attribute(value=ast.Attribute(attr="_bus" | "client" | "broker") | ast.Name(id="bus"), attr=name):
            return "send" if name in SENDING else "receive" if name in RECEIVING else None
    return None


def _named(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The channels that some code names: by functions and constants of the contracts, outside of imports."""
    names: set[str] = set()
    for node in nodes:
        for part in ast.walk(node):
            name = _name(part)
            if (
                isinstance(part, ast.Attribute)
                and isinstance(part.value, ast.Call)
                and _name(part.value.func) == "run_streams"
            ):
                names.add(part.attr)  # the streams of a run have the names of their kinds
            elif name in _OF_CONSTANTS:
                names |= _channels_of(_OF_CONSTANTS[name])
            elif name in _SUBJECTS:
                names.add(_SUBJECTS[name])
            elif isinstance(part, ast.Call) and (function := _name(part.func)) in _SUBJECT_FUNCTIONS:
                names.add(_SUBJECT_FUNCTIONS[function])
    return frozenset(names)


def _name(node: ast.AST) -> str:
    """The last part of a name; empty for other expressions."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _imports(module: Module) -> Iterator[str]:
    for node in module.walk(ast.ImportFrom):
        assert isinstance(node, ast.ImportFrom)
        yield from (node.module or "", *(f"{node.module}.{each.name}" for each in node.names))
