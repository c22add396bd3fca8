"""A browser app's files, and its one HTML page for all addresses that the app itself makes sense of."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from stat import S_ISREG
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from services.api.http.compression import accepted

BUILT: Final = Path(__file__).parents[3] / "dashboards" / "live" / "dist"
"""Beside `services`, both in a checkout and in an installation."""
PLAIN: Final = Path(__file__).parent / "plain"
"""Shows the numbers, and how to build the dashboard, where nobody has."""
DEEPEST: Final = 8
"""Folders of an address: the apps have three at most."""
ENCODED: Final = {"br": ".br", "gzip": ".gz"}
"""Suffixes of precompressed files by content coding, the smaller first."""
HASHED: Final = "assets/"
"""Files there have a hash of their content in their names."""
_PLAIN_ADDRESS = re.compile(rb"(/[A-Za-z0-9_-]+)+/?")
_NO_NAME = re.compile("[\0\ufffd\ud800-\udfff]")
"""Characters that no file's name has: NUL, and what was no UTF-8."""
FOREVER: Final = "public, max-age=31536000, immutable"


class AppPages(StaticFiles):
    """The files of an app, and `index.html` for other addresses.

    The page names its files relative to the app's root (`./assets/…`). For an address some folders deep that becomes
    `../` as many times, so the app works below any path prefix that a proxy takes off.

    Args:
        folder: of the built app; `PLAIN` in its place, if it is not built.
    """

    def __init__(self, folder: Path = BUILT) -> None:
        folder = folder if (folder / "index.html").is_file() else PLAIN
        super().__init__(directory=folder)
        self._html = (folder / "index.html").read_text(encoding="utf-8")

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or the page.

        Raises:
            HTTPException: 404 for what is neither, 405 for another method than GET and HEAD.
        """
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405)
        if _NO_NAME.search(path):
            raise HTTPException(404)
        if path in {".", "index.html"}:
            return self._page(0, scope)
        response = self._file(path, scope) if not path.endswith(tuple(ENCODED.values())) else None
        return response or self._page(_depth(path), scope, 200 if _is_plain(scope) else 404)

    def _file(self, path: str, scope: Scope) -> Response | None:
        codings = accepted(Headers(scope=scope).get("accept-encoding", ""))
        for coding, suffix in [*ENCODED.items(), ("identity", "")]:
            if suffix and coding not in codings:
                continue
            try:
                file, status = self.lookup_path(path + suffix)
            except OSError as error:  # the name is too long for the file system
                raise HTTPException(404) from error
            if status is None or not S_ISREG(status.st_mode):
                continue
            response = self.file_response(file, status, scope)
            response.headers["Vary"] = "Accept-Encoding"
            if suffix and not isinstance(response, NotModifiedResponse):
                response.headers["Content-Encoding"] = coding
            if path.startswith(HASHED):
                response.headers["Cache-Control"] = FOREVER
            return response
        return None

    def _page(self, depth: int, scope: Scope, status: int = 200) -> Response:
        html = self._html.replace('="./', f'="{"../" * depth}') if depth else self._html
        response = HTMLResponse(html, status, headers={"ETag": f'"{hashlib.sha256(html.encode()).hexdigest()[:16]}"'})
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def _is_plain(scope: Scope) -> bool:
    """Tell whether an address is written as the app writes its own; the page says of others that there is nothing."""
    return _PLAIN_ADDRESS.fullmatch(scope.get("raw_path") or scope["path"].encode()) is not None


def _depth(path: str) -> int:
    """Count the folders of a page's address.

    Raises:
        HTTPException: 404; a page has no dot in its address, as files have, and is not of the API.
    """
    parts = path.split("/")
    if parts[0].casefold() == "v1" or len(parts) > DEEPEST or "." in path:
        raise HTTPException(404)
    return len(parts) - 1
