"""AddRaftVoter: API 80, versions 0."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, string, uint16, uuid

__all__ = ["AddRaftVoterRequest", "AddRaftVoterResponse", "Listener"]


class Listener(Struct):
    name: str = string(default="")
    host: str = string(default="")
    port: int = uint16(default=0)


class AddRaftVoterRequest(Message, api_key=80, versions="0", flexible="0+"):
    cluster_id: str | None = string(nullable="0+", default="")
    timeout_ms: int = int32(default=0)
    voter_id: int = int32(default=0)
    voter_directory_id: bytes = uuid(default=bytes(16))
    listeners: list[Listener] = array(Listener, default=[])


class AddRaftVoterResponse(Message, api_key=80, versions="0", flexible="0+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(default=0)
    error_message: str | None = string(nullable="0+", default="")
