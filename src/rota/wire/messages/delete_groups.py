"""DeleteGroups: API 42, versions 0-2."""

from __future__ import annotations

from rota.wire.schema import Message, Struct, array, int16, int32, string

__all__ = ["DeletableGroupResult", "DeleteGroupsRequest", "DeleteGroupsResponse"]


class DeleteGroupsRequest(Message, api_key=42, versions="0-2", flexible="2+"):
    groups_names: list[str] = array("string", default=[])


class DeletableGroupResult(Struct):
    group_id: str = string(default="")
    error_code: int = int16(default=0)


class DeleteGroupsResponse(Message, api_key=42, versions="0-2", flexible="2+"):
    throttle_time_ms: int = int32(default=0)
    results: list[DeletableGroupResult] = array(DeletableGroupResult, default=[])
