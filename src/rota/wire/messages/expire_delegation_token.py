"""ExpireDelegationToken: API 40, versions 1-2."""

from __future__ import annotations

from rota.wire.schema import Message, bytes_, int16, int32, int64

__all__ = ["ExpireDelegationTokenRequest", "ExpireDelegationTokenResponse"]


class ExpireDelegationTokenRequest(Message, api_key=40, versions="1-2", flexible="2+"):
    hmac: bytes = bytes_(default=b"")
    expiry_time_period_ms: int = int64(default=0)


class ExpireDelegationTokenResponse(Message, api_key=40, versions="1-2", flexible="2+"):
    error_code: int = int16(default=0)
    expiry_timestamp_ms: int = int64(default=0)
    throttle_time_ms: int = int32(default=0)
