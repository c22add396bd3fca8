"""The configuration of nats-server, as text: the same for the local stack, the containers and the tests.

nats-server reads `$NAME` from its environment, as it would read it in the file: a password that is not quoted there may
be taken for a number, or end at a `#`. `quoted` has it right.
"""

from __future__ import annotations

import json
from pathlib import Path

from contracts.streams import Owner
from infra.nats.permissions import DEVELOPER, permissions

FILE = Path(__file__).with_name("nats.conf")
"""Where the text is committed."""

SYNC = "1s"
"""How often what was acknowledged is synced to the disk; `always` is before that. Decision 052 has the prices."""
MAX_PAYLOAD = 8 * 1024 * 1024
JETSTREAM: dict[str, object] = {
    "store_dir": "/data",
    # What streams may reserve together, bytes. By itself nats-server takes three quarters of the free disk, and then
    # refuses streams for the sum of what they might hold one day.
    "max_memory_store": 1024 * 1024 * 1024,
    "max_file_store": 64 * 1024 * 1024 * 1024,
    "sync_interval": SYNC,
}

_HEAD = """\
# The configuration of nats-server. Made by `python -m infra.nats` from contracts/ and infra/nats/: not to be edited.
# A password per user comes from the environment, in quotes: METRICA_NATS_API_PASSWORD='"…"', of A-Z a-z 0-9 _ and -.
"""


def text() -> str:
    """The whole file."""
    users = "".join(_user(owner) for owner in Owner)
    return (
        f"{_HEAD}\n"
        f"host: 0.0.0.0\nport: 4222\nmax_payload: {MAX_PAYLOAD}\n\n"
        f"jetstream: {json.dumps(JETSTREAM, indent=2)}\n\n"
        f"authorization: {{\n  users: [\n{users}"
        f"    {{ user: {DEVELOPER}, password: ${password_variable(DEVELOPER)} }}\n  ]\n}}\n"
    )


def password_variable(user: str) -> str:
    """The environment variable that holds a user's password."""
    return f"METRICA_NATS_{user.upper()}_PASSWORD"


def quoted(value: object) -> str:
    """A value as nats-server reads it, in its file and, a password, from its environment."""
    return json.dumps(value, ensure_ascii=False)  # nats-server reads JSON, but for \u


def _user(service: Owner) -> str:
    may = permissions(service)
    publish = f"{{ allow: {_subjects(may.publish)}, deny: {_subjects(may.deny_publish)} }}"
    answers = "\n        allow_responses: true" if may.answers else ""
    return f"""\
    {{
      user: {service}, password: ${password_variable(service)}
      permissions: {{
        publish: {publish}
        subscribe: {_subjects(may.subscribe)}{answers}
      }}
    }}
"""


def _subjects(subjects: tuple[str, ...]) -> str:
    lines = "".join(f"\n          {quoted(subject)}" for subject in subjects)
    return f"[{lines}\n        ]"
