"""RemoveRaftVoter: API 81, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, int16, int32, string, uuid

__all__ = ["RemoveRaftVoterRequest", "RemoveRaftVoterResponse"]


class RemoveRaftVoterRequest(Message, api_key=81, versions="0", flexible="0+"):
    cluster_id: str | None = string(nullable="0+", default="")
    voter_id: int = int32(default=0)
    voter_directory_id: bytes = uuid(default=bytes(16))


class RemoveRaftVoterResponse(Message, api_key=81, versions="0", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default="")
