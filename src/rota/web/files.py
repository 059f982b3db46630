"""What the browser runs, from the package's own `static`: read once, served from memory."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Files"]

_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Files:
    """Every file by name; a name that is not there is not looked for on any disk."""

    def __init__(self) -> None:
        self._bodies = {
            item.name: item.read_bytes()
            for item in files("rota.web").joinpath("static").iterdir()
            if item.name.rpartition(".")[2] in _KINDS
        }

    def answer(self, name: str, request: Request) -> Response | None:
        """The file; None if there is none. Asked for again each time, and sent only if it changed."""
        body = self._bodies.get(name)
        if body is None:
            return None
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)
