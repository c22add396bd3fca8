"""Settings: nobody else is let in by accident."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.kit.settings import ServiceSettings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "shop.example"])
def test_listening_for_other_machines_is_refused_in_words(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_HOST", host)

    with pytest.raises(ValidationError, match=r"would let other machines in, and Metrica has no sign-in yet: use 127"):
        ServiceSettings()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_may_listen_to_itself(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_HOST", host)

    assert ServiceSettings().host == host


def test_in_a_private_network_any_address_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_HOST", "0.0.0.0")
    monkeypatch.setenv("METRICA_PRIVATE_NETWORK", "yes")

    assert ServiceSettings().host == "0.0.0.0"


def test_a_password_is_never_shown() -> None:
    settings = ServiceSettings.model_validate({"nats_user": "tracker", "nats_password": "secret"})

    assert "secret" not in repr(settings)
    assert "secret" not in settings.model_dump_json()


def test_an_empty_path_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_NATS_TLS_CA", "")

    assert not ServiceSettings().nats_tls
