"""SaslHandshake: API 17, versions 0-1."""

from __future__ import annotations

from rota.wire.schema import Message, array, int16, string

__all__ = ["SaslHandshakeRequest", "SaslHandshakeResponse"]


class SaslHandshakeRequest(Message, api_key=17, versions="0-1", flexible="none"):
    mechanism: str = string(default="")


class SaslHandshakeResponse(Message, api_key=17, versions="0-1", flexible="none"):
    error_code: int = int16(default=0)
    mechanisms: list[str] = array("string", default=[])
