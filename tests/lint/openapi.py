"""The OpenAPI document of the API is `contracts/openapi.json`, which `python -m tests.lint.openapi` writes.

A change of code that is meant to keep the routes shows here that it does; one that changes them shows how, in the
difference of the file.
"""

from __future__ import annotations

import json
from pathlib import Path

from services.api.app import create_app
from services.api.settings import ApiSettings

FILE = Path(__file__).parents[2] / "contracts" / "openapi.json"


def encode() -> str:
    """The document as it is generated, with its keys in order."""
    app = create_app(ApiSettings.model_validate({"database_url": "postgresql://nowhere"}))
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(encode())
