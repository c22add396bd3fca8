"""The AsyncAPI document tells of every subject, stream and bucket, and of everybody who may send or receive there."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.streams import BUCKETS, STREAMS, Owner
from contracts.subjects import Kind
from infra.nats.asyncapi import FILE, document, encode
from infra.nats.permissions import READERS, permissions
from tests.infra.operations import without_code, without_operation
from tests.lint.measurements import ROOT, Module, modules

CHECK = """
import { Parser } from "@asyncapi/parser";
import { readFileSync } from "node:fs";
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const errors = diagnostics.filter(({ severity }) => severity < 2);
const wrong = errors.map(({ message, path }) => `${path.join(".")}: ${message}`);
console.log(JSON.stringify({ wrong, channels: document?.channels().length ?? 0 }));
"""

DOCUMENT = document()
CHANNELS: dict[str, Any] = DOCUMENT["channels"]
OPERATIONS: dict[str, Any] = DOCUMENT["operations"]


def test_the_committed_document_is_that_of_the_contracts() -> None:
    assert FILE.read_text() == encode(), "write it anew: python -m infra.nats.asyncapi"


def test_every_kind_of_event_every_stream_and_every_bucket_has_a_channel() -> None:
    assert {kind.value for kind in Kind} <= set(CHANNELS)
    assert {each["x-jetstream"]["name"] for each in CHANNELS.values() if "x-jetstream" in each} == {
        stream.name for stream in STREAMS
    }
    assert {each["x-kv"]["bucket"] for each in CHANNELS.values() if "x-kv" in each} == {each.name for each in BUCKETS}


def _pattern(address: str) -> re.Pattern[str]:
    """Addresses of one channel: a parameter stands for one token."""
    return re.compile("[.]".join("[^.]+" if part.startswith("{") else re.escape(part) for part in address.split(".")))


def _example(subject: str, channel: str) -> str:
    """A subject that a permission allows and a channel may have: wildcards filled in."""
    parts, wanted = subject.split("."), channel.split(".")
    filled = [part if part != "*" else "x" for part in parts if part != ">"]
    return ".".join([*filled, *("x" for _ in wanted[len(filled) :])]) if subject.endswith(">") else ".".join(filled)


def _allowed(service: Owner, action: str) -> Iterator[str]:
    """Metrica's subjects that a service may publish to, or subscribe to without a stream."""
    granted = permissions(service)
    for subject in granted.publish if action == "send" else granted.subscribe:
        if subject.startswith(("metrica.", "$KV.")):
            yield subject


@pytest.mark.parametrize("action", ["send", "receive"])
@pytest.mark.parametrize("service", Owner)
def test_every_permission_has_an_operation(service: Owner, action: str) -> None:
    shown = [
        CHANNELS[each["channel"]["$ref"].rpartition("/")[2]]["address"]
        for each in OPERATIONS.values()
        if each["action"] == action and each["tags"][0]["name"] == service
    ]
    missing = [
        subject
        for subject in _allowed(service, action)
        if not any(_pattern(address).fullmatch(_example(subject, address)) for address in shown)
    ]
    assert missing == []


def test_every_reader_of_a_stream_or_bucket_has_an_operation() -> None:
    receives = {
        (each["tags"][0]["name"], each["channel"]["$ref"].rpartition("/")[2])
        for each in OPERATIONS.values()
        if each["action"] == "receive"
    }
    kept = {each["x-jetstream"]["name"]: name for name, each in CHANNELS.items() if "x-jetstream" in each}
    kept |= {each["x-kv"]["bucket"]: name for name, each in CHANNELS.items() if "x-kv" in each}
    assert {(reader.value, kept[each.name]) for each, readers in READERS.items() for reader in readers} <= receives


NO_CODE = {
    "ingest.send.dlq": "it has permission, as every service",
    "api.send.dlq": "it has permission, as every service",
    "tracker.send.status": "it has permission, as every service",
}
"""Operations without code, and the reason."""
MODULES = {module.name: module for module in modules(ROOT, ("services",))}


def _planted(service: Owner, text: str) -> dict[str, Module]:
    """The modules of all services, and one more."""
    name = f"services.{service}.planted"
    return MODULES | {name: Module(name, Path(f"{name}.py"), text, ast.parse(text))}


@pytest.mark.parametrize("service", Owner)
def test_every_handler_and_publisher_has_an_operation(service: Owner) -> None:
    assert without_operation(service, MODULES, OPERATIONS) == []


@pytest.mark.parametrize("service", Owner)
def test_every_operation_is_of_a_handler_or_publisher(service: Owner) -> None:
    excused = {each for each in NO_CODE if each.startswith(f"{service}.")}
    assert without_code(service, MODULES, OPERATIONS) == excused


@pytest.mark.parametrize(
    ("service", "text", "missing"),
    [
        (Owner.TRACKER, "bus.send(counts(LIVE, store), data)", "send counts"),
        (Owner.DETECTOR, "self._bus.publish(subjects.edge(LIVE, store, camera), data)", "send edge"),
        (Owner.API, "jetstream_subscriber(bus.broker, CROSSINGS)", "receive coverage"),
        (Owner.INGEST, "subscribed(broker, tracks(LIVE, '*', '*'), show)", "receive tracks"),
        (Owner.PERSISTENCE, "broker.publisher; bus.broker.publisher(tracks(LIVE, 'a', 'b'))", "send tracks"),
        (Owner.DETECTOR, "watch(bus, SOURCES)", "receive kv_sources"),
    ],
)
def test_a_handler_or_publisher_without_an_operation_is_found(service: Owner, text: str, missing: str) -> None:
    assert without_operation(service, _planted(service, text), OPERATIONS) == [
        f"services.{service}.planted.py:1: {missing}"
    ]


def test_an_operation_without_code_is_found() -> None:
    lonely = {name: module for name, module in MODULES.items() if name != "services.api.live.feed"}
    assert {"api.receive.tracks"} <= without_code(Owner.API, lonely, OPERATIONS)


def _references(node: Any) -> Iterator[str]:  # noqa: ANN401  # any part of the document
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


@pytest.mark.exhaustive  # it fetches the parser; the tests above look at what can go wrong here
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_asyncapi_parser_takes_the_document(tmp_path: Path) -> None:
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "@asyncapi/parser@3"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=100,
    )
    script = tmp_path / "check.mjs"
    script.write_text(CHECK)
    checked = subprocess.run(
        ["node", script, FILE], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    assert json.loads(checked.stdout) == {"wrong": [], "channels": len(CHANNELS)}
