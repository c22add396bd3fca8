"""`python -m services.api`: settings from the environment, until SIGTERM."""

from __future__ import annotations

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.kit.http.server import run_http
from services.kit.logs import configure


def main() -> None:
    """Run the API."""
    settings = ApiSettings()
    configure("api", settings)
    run_http(create_app(settings), settings)


if __name__ == "__main__":
    main()
