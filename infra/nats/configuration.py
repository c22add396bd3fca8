"""The text of nats-server's configuration, the same for the local stack, the containers and the tests.

nats-server parses `$NAME` from its environment like text of the file: a password that is not quoted there may be taken
for a number, or end at a `#`. So pass it by `quoted`.
"""

from __future__ import annotations

import json
from pathlib import Path

from contracts.streams import Owner
from infra.nats.permissions import DEVELOPER, permissions

FILE = Path(__file__).with_name("nats.conf")
"""The committed file."""

SYNC = "1s"
"""Interval of syncs to disk; `always` would sync before each ack. Decision 052 has the costs."""
MAX_PAYLOAD = 8 * 1024 * 1024
JETSTREAM: dict[str, object] = {
    "store_dir": "/data",
    # Bytes that all streams together may reserve. By default nats-server takes three quarters of the free disk, and
    # refuses streams if the sum of their limits is greater.
    "max_memory_store": 1024 * 1024 * 1024,
    "max_file_store": 64 * 1024 * 1024 * 1024,
    "sync_interval": SYNC,
}

_HEAD = """\
# The configuration of nats-server. Made by `python -m infra.nats` from contracts/ and infra/nats/: not to be edited.
# A password per user comes from the environment, in quotes: METRICA_NATS_API_PASSWORD='"…"', of A-Z a-z 0-9 _ and -.
"""


def text() -> str:
    """Return the whole file."""
    users = "".join(_user(owner) for owner in Owner)
    return (
        f"{_HEAD}\n"
        f"host: 0.0.0.0\nport: 4222\nmax_payload: {MAX_PAYLOAD}\n\n"
        f"jetstream: {json.dumps(JETSTREAM, indent=2)}\n\n"
        f"authorization: {{\n  users: [\n{users}"
        f"    {{ user: {DEVELOPER}, password: ${password_variable(DEVELOPER)} }}\n  ]\n}}\n"
    )


def password_variable(user: str) -> str:
    """Return the name of the environment variable with a user's password."""
    return f"METRICA_NATS_{user.upper()}_PASSWORD"


def quoted(value: object) -> str:
    """Format a value for nats-server's file, or a password for its environment."""
    return json.dumps(value, ensure_ascii=False)  # nats-server parses JSON, except for \u


def _user(service: Owner) -> str:
    allowed = permissions(service)
    publish = f"{{ allow: {_subjects(allowed.publish)}, deny: {_subjects(allowed.deny_publish)} }}"
    answers = "\n        allow_responses: true" if allowed.answers else ""
    return f"""\
    {{
      user: {service}, password: ${password_variable(service)}
      permissions: {{
        publish: {publish}
        subscribe: {_subjects(allowed.subscribe)}{answers}
      }}
    }}
"""


def _subjects(subjects: tuple[str, ...]) -> str:
    lines = "".join(f"\n          {quoted(subject)}" for subject in subjects)
    return f"[{lines}\n        ]"
