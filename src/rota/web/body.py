"""Bodies of requests, which may be anything: bounded, and what they should be or a `RotaError`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from rota.model import RotaError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["MOST_BYTES", "read_form", "read_json"]

MOST_BYTES: Final = 256 * 1024


async def read_json(request: Request) -> dict[str, Any]:
    """An object.

    Raises:
        RotaError: it is something else, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RotaError("the request is no JSON (Content-Type: application/json)")
    body = await _read(request)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RotaError("the request is no JSON") from None
    if not isinstance(value, dict):
        raise RotaError("the request is no JSON object")
    return value


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that comes twice the last."""
    body = await _read(request)
    return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=10))


async def _read(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise RotaError(f"the request is longer than {MOST_BYTES:,} bytes")
    return body
