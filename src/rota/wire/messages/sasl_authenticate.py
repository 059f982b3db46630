"""SaslAuthenticate: API 36, versions 0-2."""

from __future__ import annotations

from rota.wire.schema import Message, bytes_, int16, int64, string

__all__ = ["SaslAuthenticateRequest", "SaslAuthenticateResponse"]


class SaslAuthenticateRequest(Message, api_key=36, versions="0-2", flexible="2+"):
    auth_bytes: bytes = bytes_(default=b"")


class SaslAuthenticateResponse(Message, api_key=36, versions="0-2", flexible="2+"):
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default="")
    auth_bytes: bytes = bytes_(default=b"")
    session_lifetime_ms: int = int64("1+", default=0)
