"""The camera that `./taskw up` counts: the one given, else the one before, else the default."""

from __future__ import annotations

import pytest

from contracts.spec import Side
from infra.local.camera import check, configure_camera, merged
from infra.local.errors import LocalError
from infra.local.options import Options
from services.api.cameras.repository import find_camera
from services.api.cameras.setup import CameraSetup
from services.kit.vault import Vault

RTSP = "rtsp://camera/1"
VAULT = Vault("a secret key that only tests have")


def _before(**changes: object) -> CameraSetup:
    return merged(Options.model_validate({"camera": RTSP, "line": "0.1,0.1,0.9,0.9", **changes}), None)


def test_the_default_is_the_simulated_door_with_its_own_line_and_motion() -> None:
    setup = merged(Options(), None)
    assert (setup.address, setup.model, setup.lines[0].id) == ("sim://door", "motion", "line")
    assert setup.lines[0].y1 == setup.lines[0].y2


def test_a_real_camera_has_a_person_detector_and_a_line_through_the_middle() -> None:
    setup = merged(Options(camera=RTSP), None)
    assert setup.model == "person-detection-0200"
    line = setup.lines[0]
    assert (line.x1, line.y1, line.x2, line.y2) == (0.5, 0.0, 0.5, 1.0)


def test_what_is_not_said_stays_as_it_was() -> None:
    before = _before(model="yolox-nano", in_side="left")
    assert merged(Options(), before).model_copy(update={"time_zone": None}) == before.model_copy(
        update={"time_zone": None}
    )


def test_a_track_and_a_rate_stay_until_they_are_taken_back() -> None:
    before = _before(track="2", rate="12.5")
    assert (before.capture.track, before.capture.rate) == (2, 12.5)
    assert merged(Options(), before).capture == before.capture

    taken_back = merged(Options.model_validate({"track": "0"}), before).capture
    assert (taken_back.track, taken_back.rate) == (None, 12.5)


def test_another_source_takes_its_own_defaults() -> None:
    setup = merged(Options(camera="sim://door"), _before(model="yolox-nano"))
    assert (setup.address, setup.model) == ("sim://door", "motion")
    assert setup.lines[0].y1 == setup.lines[0].y2


def test_the_side_alone_can_be_turned() -> None:
    line = merged(Options(in_side=Side.LEFT), _before()).lines[0]
    assert (line.x1, line.in_side) == (0.1, Side.LEFT)


def test_a_shop_has_a_name_of_its_own() -> None:
    setup = merged(Options(store="Café Bleu", time_zone="Europe/Paris"), None)
    assert (setup.store_name, setup.time_zone) == ("Café Bleu", "Europe/Paris")


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"camera": "sim://window"}, "sim://door"),
        ({"time_zone": "Mars/Olympus"}, "no time zone"),
        ({"store": "///"}, "no letter or digit"),
        ({"model": "?"}, "no letter or digit"),
    ],
)
def test_what_no_camera_can_be_made_of_is_refused_with_the_reason_before_anything_starts(
    wish: dict[str, str], told: str
) -> None:
    with pytest.raises(LocalError, match=told):
        check(Options.model_validate(wish))


async def test_the_configuration_changes_only_with_the_wishes(api_database_url: str) -> None:
    await configure_camera(api_database_url, Options(), VAULT)
    await configure_camera(api_database_url, Options.model_validate({"line": "0.2,0.5,0.8,0.5"}), VAULT)
    await configure_camera(api_database_url, Options(), VAULT)
    assert (await find_camera(api_database_url, "camera")).lines[0].x1 == 0.2
