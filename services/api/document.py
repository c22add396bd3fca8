"""Prints the OpenAPI document of this version, from which clients generate their types: `-m services.api.document`."""

from __future__ import annotations

import json
import sys

from services.api.app import create_app
from services.api.settings import ApiSettings

if __name__ == "__main__":
    app = create_app(ApiSettings.model_validate({"database_url": "postgresql://nowhere"}))
    json.dump(app.openapi(), sys.stdout)
