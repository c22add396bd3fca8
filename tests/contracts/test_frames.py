"""Frame headers: what is written is read back, and what cannot be read names itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import EndReason, FrameHeader, MalformedFrame
from contracts.identity import Policy
from tests.contracts.names import TOKENS

HEADERS = st.builds(
    FrameHeader,
    run=TOKENS,
    store=TOKENS,
    camera=TOKENS,
    session=TOKENS,
    seq=st.integers(0, 2**63 - 1),
    previous=st.none() | st.integers(0, 2**63 - 1),
    captured_at=st.integers(0, 2**63 - 1),
    width=st.integers(1, 10_000),
    height=st.integers(1, 10_000),
    spec_revision=st.integers(1, 10_000),
    policy=st.sampled_from(Policy),
    end=st.none() | st.sampled_from(EndReason),
    traceparent=st.sampled_from(["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
)
GOOD = FrameHeader(
    run="live",
    store="shop",
    camera="door",
    session="s",
    seq=1,
    captured_at=5,
    width=2,
    height=3,
    spec_revision=1,
    policy=Policy.LATEST,
).to_headers()


@given(HEADERS)
def test_a_frames_headers_are_read_back_to_it(header: FrameHeader) -> None:
    assert FrameHeader.from_headers(header.to_headers()) == header


@given(HEADERS)
def test_the_same_frame_has_the_same_deduplication_key_in_a_run(header: FrameHeader) -> None:
    again = header.model_copy(update={"traceparent": "", "spec_revision": 9})

    assert header.to_headers()["Nats-Msg-Id"] == again.to_headers()["Nats-Msg-Id"]
    assert header.to_headers()["Nats-Msg-Id"] == f"{header.run}/{header.camera}/{header.session}/{header.seq}"


def test_what_is_none_or_empty_stays_out() -> None:
    assert not {"Metrica-Previous", "Metrica-End", "Metrica-Traceparent"} & GOOD.keys()


def test_headers_of_others_and_of_later_versions_are_ignored() -> None:
    more = {**GOOD, "Nats-Expected-Stream": "X", "Metrica-Added-Later": "1", "traceparent": "x"}

    assert FrameHeader.from_headers(more) == FrameHeader.from_headers(GOOD)


@pytest.mark.parametrize("name", [name for name in GOOD if name.startswith("Metrica-") and name != "Metrica-Version"])
def test_a_missing_header_is_named(name: str) -> None:
    with pytest.raises(MalformedFrame, match=f"frame header {name}: Field required"):
        FrameHeader.from_headers({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("Metrica-Seq", "seven", id="no number"),
        pytest.param("Metrica-Seq", "-1", id="below zero"),
        pytest.param("Metrica-Captured-At", str(2**63), id="a time past every calendar"),
        pytest.param("Metrica-Width", "0", id="no width"),
        pytest.param("Metrica-Spec-Revision", "0", id="revisions begin at 1"),
        pytest.param("Metrica-Policy", "sometimes", id="an unknown policy"),
        pytest.param("Metrica-End", "bored", id="an unknown end"),
        pytest.param("Metrica-Camera", "a.b", id="a camera that would break subjects"),
    ],
)
def test_a_garbled_header_is_named(name: str, value: str) -> None:
    with pytest.raises(MalformedFrame, match=f"frame header {name}: "):
        FrameHeader.from_headers({**GOOD, name: value})


@pytest.mark.parametrize("headers", [None, {}], ids=["none", "empty"])
def test_a_message_without_headers_is_no_frame(headers: dict[str, str] | None) -> None:
    with pytest.raises(MalformedFrame, match="frame header Metrica-Run: Field required"):
        FrameHeader.from_headers(headers)
