"""The rules of reading a message."""

from __future__ import annotations

import json

import pytest

from contracts.events import Crossing, SessionEnd
from contracts.subjects import crossings, edge
from services.persistence.decoding import MalformedEvent, read
from tests.persistence.builders import crossing, end

SUBJECT = crossings("live", "shop", "door")


@pytest.mark.parametrize("event", [crossing(), crossing(model=None), end(3)], ids=["crossing", "no model", "end"])
def test_what_was_sent_is_read(event: Crossing | SessionEnd) -> None:
    assert read(SUBJECT, event.encode()) == event


def test_what_a_worker_at_the_edge_sent_is_read() -> None:
    assert read(edge("live", "shop", "door"), crossing().encode()) == crossing()


def test_fields_of_a_later_version_are_ignored() -> None:
    later = json.dumps({**json.loads(crossing().encode()), "version": 2, "mood": "cheerful"}).encode()

    assert read(SUBJECT, later).id == crossing().id


def test_number_that_no_schema_forbids_is_left_to_the_database() -> None:
    assert read(SUBJECT, crossing(spec_revision=2**40).encode()).id == crossing().id


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(crossing().encode()), **fields}).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "Invalid JSON", id="nothing"),
        pytest.param(b"{", "Invalid JSON", id="half of it"),
        pytest.param(b"\xff\xfe\x00", "Invalid JSON", id="not text"),
        pytest.param(b"[]", "should be an object", id="no object"),
        pytest.param(changed(kind="visit"), "kind|tag", id="an unknown kind"),
        pytest.param(changed(id="7"), r"crossing\.id: .*UUID", id="no id"),
        pytest.param(changed(direction="up"), r"crossing\.direction: ", id="an unknown direction"),
        pytest.param(changed(at=-1), r"crossing\.at: ", id="before 1970"),
        pytest.param(changed(at=2**63), r"crossing\.at: ", id="after 2262, more than a bigint holds"),
        pytest.param(changed(at=10**40), r"crossing\.at: ", id="far beyond"),
        pytest.param(changed(store="a b"), r"crossing\.store: ", id="no token"),
        pytest.param(changed(store="other"), "live/other/door, but its subject", id="another store than its subject's"),
        pytest.param(changed(camera="back"), "live/shop/back, but its subject", id="another camera"),
        pytest.param(changed(run="replay"), "replay/shop/door, but its subject", id="another run"),
    ],
)
def test_malformed_event_says_what_is_wrong(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedEvent, match=reason):
        read(SUBJECT, body)


@pytest.mark.parametrize(
    "subject",
    ["metrica.live.crossings.shop", "metrica.live.crossings.shop.door.x", "metrica.live.paths.shop.door", "weather"],
)
def test_subject_that_is_no_crossings_is_malformed(subject: str) -> None:
    with pytest.raises(MalformedEvent, match=subject):
        read(subject, crossing().encode())
