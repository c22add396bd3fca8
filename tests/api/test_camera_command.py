"""`metrica camera`: what a person types."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner, Result

from services.cli.commands.camera import app
from services.cli.console.errors import CommandError
from tests.api.served import SECRET_KEY


@pytest.fixture
def command(api_database_url: str) -> Command:
    return Command(api_database_url)


class Command:
    """`metrica camera …`, in a thread of its own: it has an event loop of its own."""

    def __init__(self, database_url: str) -> None:
        self._environment = {"METRICA_DATABASE_URL": database_url, "METRICA_SECRET_KEY": SECRET_KEY}

    def __call__(self, *words: str, typed: str | None = None) -> str:
        with ThreadPoolExecutor() as thread:
            result: Result = thread.submit(CliRunner().invoke, app, words, input=typed, env=self._environment).result()
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output


def test_set_list_and_remove(command: Command) -> None:
    line = ["--line", "0.5,0,0.5,1", "--in", "left"]
    assert "revision 1" in command("set", "door", "rtsp://me:secret@cam/1", *line, "--time-zone", "Africa/Tunis")

    shown = command("list")
    assert "door" in shown
    assert "in=left" in shown
    assert "secret" not in shown
    (as_json,) = json.loads(command("list", "--json"))
    assert (as_json["camera"], as_json["policy"], as_json["time_zone"]) == ("door", "latest", "Africa/Tunis")

    command("remove", "door")
    assert "There is no camera yet" in command("list")


def test_an_address_can_be_read_from_standard_input_and_is_listed_without_its_secrets(command: Command) -> None:
    for typed, shown in (
        ("rtsp://cam/user=me_password=hunter22_channel=1\n", "rtsp://cam/***"),
        ("rtsp://me:hun/ter22@cam/live\n", "rtsp://***"),
        ("me:hunter22@cam/live.mp4\n", "***"),
        ("/films/door.mp4\n", "/films/door.mp4"),
    ):
        assert "revision" in command("set", "door", "-", typed=typed)
        for listed in (command("list"), command("list", "--json")):
            assert shown in listed
            assert "ter22" not in listed


def test_a_track_and_a_rate_stay_until_they_are_taken_back(command: Command) -> None:
    command("set", "door", "video.mkv", "--track", "2", "--rate", "12.5")
    command("set", "door", "--name", "Front")
    (camera,) = json.loads(command("list", "--json"))
    assert (camera["capture"]["track"], camera["capture"]["rate"]) == (2, 12.5)

    command("set", "door", "--track", "0", "--rate", "0")
    (camera,) = json.loads(command("list", "--json"))
    assert (camera["capture"]["track"], camera["capture"]["rate"]) == (None, None)


def test_only_what_is_said_changes(command: Command) -> None:
    command("set", "door", "video.mp4", "--line", "0.5,0,0.5,1", "--model", "motion")

    assert "revision 2" in command("set", "door", "--name", "Front")
    assert "revision 2" in command("set", "door", "--again")
    (camera,) = json.loads(command("list", "--json"))
    assert (camera["model"], camera["name"], camera["policy"], len(camera["lines"])) == ("motion", "Front", "every", 1)


def test_lines_sides_and_where_to_look_are_set_changed_and_taken_away(command: Command) -> None:
    lines = ["--line", "front=0.5,0,0.5,1", "--line", "back=0,0.5,1,0.5", "--in", "left", "--in", "right"]
    command("set", "door", "0", *lines, "--in-name", "shop", "--region", "0,0,1,0,1,1,0,1", "--min-height", "0.05")
    command("set", "door", "--ignore", "0,0,0.2,0,0,0.2", "--ignore", "1,1,0.8,1,1,0.8")

    assert "looks at a part" in command("list")
    (camera,) = json.loads(command("list", "--json"))
    assert {line["id"]: (line["in_side"], line["in_name"]) for line in camera["lines"]} == {
        "front": ("left", "shop"),
        "back": ("right", "shop"),
    }
    assert (len(camera["detection"]["regions"]), len(camera["detection"]["ignore"])) == (1, 2)
    assert camera["detection"]["min_height"] == 0.05

    command("set", "door", "--in", "right", "--out-name", "yard", "--out-name", "street")
    (camera,) = json.loads(command("list", "--json"))
    assert {line["id"]: (line["in_side"], line["in_name"], line["out_name"]) for line in camera["lines"]} == {
        "back": ("right", "shop", "yard"),
        "front": ("right", "shop", "street"),
    }, "what is said of lines that are there"

    command("set", "door", "--region", "none", "--ignore", "none", "--min-height", "0")
    assert "looks at a part" not in command("list")
    assert len(json.loads(command("list", "--json"))[0]["lines"]) == 2


def test_zones_are_named_and_taken_away(command: Command) -> None:
    command("set", "door", "0", "--zone", "till=0,0,0.5,0,0.5,1", "--zone", "shelf=0.5,0,1,0,1,1")
    assert "revision 1" in command("set", "door", "--zone", "till=0,0,1,0,1,1"), "the services see no difference"

    (camera,) = json.loads(command("list", "--json"))
    assert camera["zones"] == [{"id": "till", "name": "", "polygon": [[0, 0], [1, 0], [1, 1]]}]
    command("set", "door", "--zone", "none")
    assert json.loads(command("list", "--json"))[0]["zones"] == []


def test_another_source_takes_its_own_policy(command: Command) -> None:
    command("set", "door", "video.mp4")
    command("set", "door", "rtsp://cam/1")

    assert json.loads(command("list", "--json"))[0]["policy"] == "latest"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["set", "door"], "give its source's address"),
        (["set", "door", "0", "--line", "0,0,2,2"], "outside the picture"),
        (["set", "door", "0", "--line", "1,2"], "give four numbers"),
        (["set", "door", "0", "--in-name", "shop"], "camera 'door' has no line yet: draw one"),
        (["set", "door", "0", "--region", "0,0,1,1"], "give three points or more"),
        (["set", "door", "0", "--zone", "0,0,1,0,1,1"], "--zone 0,0,1,0,1,1: give it an id, as in --zone till="),
        (["set", "door", "0", "--zone", "till=0,0,1,1"], "--zone till 0,0,1,1: give three points or more"),
        (["set", "door", "0", "--zone", "till=0,0,1,1,0,1,1,0"], "zone till: its sides cross each other"),
        (
            ["set", "door", "0", "--line", "0.5,0,0.5,1", "--ignore", "0.4,0,0.6,0,0.6,1,0.4,1"],
            "line line can never count: nobody is looked for where it lies",
        ),
        (["set", "door", "0", "--time-zone", "Tunis"], "no time zone"),
        (["remove", "nothing"], "there is no camera 'nothing'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_clear_line(command: Command, words: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        command(*words)


def test_without_a_database_it_says_what_to_do() -> None:
    nobody = Command("postgresql://metrica:x@127.0.0.1:9/metrica")

    with pytest.raises(CommandError, match=r"the database does not answer.*taskw up"):
        nobody("list")
