"""The committed configuration of nats-server is the one that the contracts ask for."""

from __future__ import annotations

from infra.nats.configuration import FILE, text


def test_the_committed_configuration_is_made_from_the_contracts_of_today() -> None:
    assert FILE.read_text() == text(), "run `python -m infra.nats` and commit what it writes"
