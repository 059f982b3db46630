"""AlterUserScramCredentials: API 51, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, bytes_, int8, int16, int32, string

__all__ = [
    "AlterUserScramCredentialsRequest",
    "AlterUserScramCredentialsResponse",
    "AlterUserScramCredentialsResult",
    "ScramCredentialDeletion",
    "ScramCredentialUpsertion",
]


class ScramCredentialDeletion(Struct):
    name: str = string(default="")
    mechanism: int = int8(default=0)


class ScramCredentialUpsertion(Struct):
    name: str = string(default="")
    mechanism: int = int8(default=0)
    iterations: int = int32(default=0)
    salt: bytes = bytes_(default=b"")
    salted_password: bytes = bytes_(default=b"")


class AlterUserScramCredentialsRequest(Message, api_key=51, versions="0", flexible="0+"):
    deletions: list[ScramCredentialDeletion] = array(ScramCredentialDeletion, default=[])
    upsertions: list[ScramCredentialUpsertion] = array(ScramCredentialUpsertion, default=[])


class AlterUserScramCredentialsResult(Struct):
    user: str = string(default="")
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default="")


class AlterUserScramCredentialsResponse(Message, api_key=51, versions="0", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    results: list[AlterUserScramCredentialsResult] = array(AlterUserScramCredentialsResult, default=[])
