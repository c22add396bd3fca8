"""Row 20: a text that is stored holds nothing that moves, hides or forges what is beside it, and no name is blank."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from services.api.auth.schemas import SignInIn
from services.api.cameras.schemas import CameraIn, CameraPatch, LineIn, ProbeIn, ZoneIn
from services.api.cameras.setup import CameraSetup, with_tidy_names
from services.api.edge.schemas import EdgeCrossing
from services.api.http.texts import checked, cleaned, tidy, without_hidden
from services.api.invitations.schemas import InvitationIn
from services.api.keys.schemas import KeyIn
from services.api.members.schemas import UserPatch
from services.api.organizations.schemas import OrganizationIn, OrganizationPatch
from services.api.settings import ApiSettings
from services.api.stores.schemas import StoreIn, StorePatch
from tests.cli.command import metrica

LINE: dict[str, object] = {"id": "entrance", "x1": 0.5, "y1": 0, "x2": 0.5, "y2": 1}
ZONE: dict[str, object] = {"id": "till", "polygon": [[0.1, 0.5], [0.4, 0.5], [0.4, 1.0]]}
STORE: dict[str, object] = {"organization": "acme", "time_zone": "UTC"}
MEMBER: dict[str, object] = {"email": "a@acme", "role": "viewer"}
EDGE: dict[str, object] = {"camera": "door", "line": "entrance", "direction": "in", "at": "2026-11-23T09:20:00Z"}

REFUSED = [
    *("\x00", "\t", "\n", "\r\n", "\x1b[31m", "\x7f", "\x85", "\x9b"),  # control characters
    *("\u2028", "\u2029"),  # ends of lines and of paragraphs
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",  # the direction of writing
    *("\ud800", "\udfff"),  # halves of pairs
    *("\ufeff", "\ufff9", "\ufffe", "\ufdd0", "\U0010ffff"),  # no characters of a text
]
BLANK = [
    "",
    " ",
    " " * 50,
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u200c\u200d",
    "\u2060",
    "\u00ad",
    "\u3164",
    "\u2800",
    "\ufe0f",
]
FINE = [
    *("Main street", "Café Noir", "قهوة", "می‌خواهم", "क्‍ष", "東京駅", "Ⅻ", "#1", "👨‍👩‍👧‍👦", "🏳️‍🌈", "❤️"),
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]

NAMED: list[tuple[type[BaseModel], dict[str, object], str]] = [
    (StoreIn, STORE, "name"),
    (StorePatch, {}, "name"),
    (OrganizationIn, {}, "name"),
    (OrganizationPatch, {}, "name"),
    (KeyIn, {"role": "viewer"}, "name"),
]
LABELLED: list[tuple[type[BaseModel], dict[str, object], str]] = [
    (CameraIn, {"address": "sim://door"}, "name"),
    (CameraPatch, {}, "name"),
    (LineIn, LINE, "name"),
    (LineIn, LINE, "in_name"),
    (LineIn, LINE, "out_name"),
    (ZoneIn, ZONE, "name"),
    (InvitationIn, MEMBER, "name"),
    (UserPatch, {}, "name"),
]
TEXTS: list[tuple[type[BaseModel], dict[str, object], str]] = [
    *NAMED,
    *LABELLED,
    (UserPatch, {}, "subject"),
    (CameraPatch, {}, "address"),
    (CameraPatch, {}, "model"),
    (ProbeIn, {}, "address"),
    (EdgeCrossing, EDGE, "id"),
]


def _ids(rows: list[tuple[type[BaseModel], dict[str, object], str]]) -> list[str]:
    return [f"{model.__name__}.{field}" for model, _, field in rows]


@pytest.mark.parametrize(("model", "rest", "field"), TEXTS, ids=_ids(TEXTS))
def test_no_text_holds_what_none_may_hold(model: type[BaseModel], rest: dict[str, object], field: str) -> None:
    for bad in REFUSED:
        for text in (bad, f"a{bad}b", f"{bad}b", f"a{bad}"):
            with pytest.raises(ValidationError):
                model.model_validate({**rest, field: text})


@pytest.mark.parametrize(("model", "rest", "field"), NAMED + LABELLED, ids=_ids(NAMED + LABELLED))
def test_names_of_all_scripts_are_fine_and_are_trimmed(
    model: type[BaseModel], rest: dict[str, object], field: str
) -> None:
    for name in FINE:
        for said in (name, f"  {name}\u00a0\u3000"):
            assert getattr(model.model_validate({**rest, field: said}), field) == name
    assert len(getattr(model.model_validate({**rest, field: " " * 200 + "x" * 100}), field)) == 100
    with pytest.raises(ValidationError):
        model.model_validate({**rest, field: "x" * 101})


@pytest.mark.parametrize(("model", "rest", "field"), NAMED, ids=_ids(NAMED))
def test_a_name_that_nobody_sees_is_none(model: type[BaseModel], rest: dict[str, object], field: str) -> None:
    for blank in BLANK:
        with pytest.raises(ValidationError) as refused:
            model.model_validate({**rest, field: blank})
        assert refused.value.errors()[0]["loc"] == (field,)


@pytest.mark.parametrize(("model", "rest", "field"), LABELLED, ids=_ids(LABELLED))
def test_where_no_name_is_needed_blanks_are_none(model: type[BaseModel], rest: dict[str, object], field: str) -> None:
    assert getattr(model.model_validate({**rest, field: "  \u3000 "}), field) == ""
    with pytest.raises(ValidationError):
        model.model_validate({**rest, field: "\u200b"})


@pytest.mark.parametrize(
    "email", ["mara\u200b@shop.example", "mara@shop\u00ad.example", "mara\u202e@shop", "ma\u3164@x"]
)
def test_an_address_holds_nothing_that_is_not_seen(email: str) -> None:
    with pytest.raises(ValidationError):
        InvitationIn.model_validate({**MEMBER, "email": email})
    with pytest.raises(ValidationError):
        ApiSettings.model_validate({"database_url": "postgresql://x", "admin_email": email})
    with pytest.raises(ValueError, match="U\\+"):
        without_hidden(email)


def test_a_password_may_hold_what_it_likes() -> None:
    secret = "tab\tand \u202e \u200f"
    wanted = SignInIn.model_validate({"email": "a@acme", "password": secret})
    assert wanted.password.get_secret_value() == secret


@pytest.mark.parametrize(
    "said",
    [
        {"name": "a\nb"},
        {"store_name": "\u202eback"},
        {"store_name": "  "},
        {"name": "x" * 101},
        {"lines": [{**LINE, "name": "\x1b[2J"}]},
        {"lines": [{**LINE, "in_name": "\u2066"}]},
        {"zones": [{**ZONE, "name": "a\u2028b"}]},
    ],
)
def test_the_command_line_stores_no_other_names(said: dict[str, object]) -> None:
    setup = CameraSetup.model_validate({"camera": "door", "address": "sim://door", "lines": [LINE], **said})
    with pytest.raises(ValueError, match=r"character|blank|longer"):
        with_tidy_names(setup)


def test_the_command_line_trims_names() -> None:
    setup = CameraSetup.model_validate(
        {"camera": "door", "address": "sim://door", "name": " Door ", "lines": [{**LINE, "in_name": " shop\u00a0"}]}
    )
    tidied = with_tidy_names(setup)
    assert (tidied.name, tidied.lines[0].in_name, tidied.store_name) == ("Door", "shop", None)


def test_the_command_says_what_is_wrong(api_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)
    told = metrica("camera", "set", "door", "sim://door", "--name", "a\u202eb", "--line", "0.5,0,0.5,1", "--in", "left")
    assert told.code != 0
    assert "U+202E" in told.out + told.err


def test_what_nobody_can_mend_is_cleaned() -> None:
    assert cleaned("Mozilla/5.0\r\nX-Forged: yes \u202e\x1b[31m", 40) == "Mozilla/5.0 X-Forged: yes [31m"
    assert len(cleaned("x" * 10_000, 100)) == 100
    for bad in REFUSED:
        assert checked(cleaned(f"a{bad}b", 10))


def test_the_message_names_the_character() -> None:
    with pytest.raises(ValueError, match=r"character 2 is U\+202E \(right-to-left override\)"):
        tidy("a\u202eb")
