"""A log is one event a line, dated in UTC, whatever somebody has sent."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys

import pytest

SAY = """
import logging, sys
from services.kit.logs import configure, logger
from services.kit.settings import ServiceSettings
configure("api", ServiceSettings(log_format={format!r}))
evil = {evil!r}
logger().warning("somebody sent this", said=evil, path=evil)
logging.getLogger("uvicorn").warning("and this: %s", evil)
"""
EVIL = "x\r\n2026-11-28T00:00:00Z [info] all is well\x1b[2J\x1b]0;title\x07\u2028\x85\x00\u202e"
STAMP = re.compile(r"2\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


def said(log_format: str) -> str:
    code = SAY.format(format=log_format, evil=EVIL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_in_json_an_event_is_a_line_and_an_object() -> None:
    lines = said("json").splitlines()

    assert len(lines) == 2
    events = [json.loads(line) for line in lines]
    assert events[0]["said"] == EVIL
    assert events[1]["event"].endswith(EVIL)
    assert all(event["timestamp"].endswith("Z") and event["service"] == "api" for event in events)
    assert all(event["level"] == "warning" for event in events)


def test_in_text_a_value_makes_no_line_and_moves_no_cursor() -> None:
    text = said("text")

    assert len([line for line in text.split("\n") if STAMP.match(line)]) == 2, text
    assert "\x1b]0;" not in text
    assert "\x00" not in text


@pytest.mark.parametrize("name", ["httpx", "asyncio", "nats", "sqlalchemy.engine"])
def test_libraries_do_not_tell_what_passes_through_them(name: str) -> None:
    """At their usual level they write whole requests and statements, secrets among them."""
    code = (
        "import logging; from services.kit.logs import configure; from services.kit.settings import ServiceSettings;"
        f"configure('api', ServiceSettings(log_level='debug')); print(logging.getLogger({name!r}).getEffectiveLevel())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)

    assert int(done.stdout.decode().split()[-1]) >= logging.WARNING
