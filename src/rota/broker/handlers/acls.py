"""DescribeAcls (29), CreateAcls (30), DeleteAcls (31), versions 1-3: there is no authorizer, and the answer says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.create_acls import AclCreationResult, CreateAclsRequest, CreateAclsResponse
from rota.wire.messages.delete_acls import DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse
from rota.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_DISABLED = ErrorCode.SECURITY_DISABLED
_WHY = "no authorizer is configured on this broker"


def handle(
    _broker: Broker, message: DescribeAclsRequest | CreateAclsRequest | DeleteAclsRequest, _request: Request
) -> DescribeAclsResponse | CreateAclsResponse | DeleteAclsResponse:
    if isinstance(message, DescribeAclsRequest):
        return DescribeAclsResponse(error_code=_DISABLED, error_message=_WHY)
    if isinstance(message, CreateAclsRequest):
        return CreateAclsResponse(
            results=[AclCreationResult(error_code=_DISABLED, error_message=_WHY) for _ in message.creations]
        )
    return DeleteAclsResponse(
        filter_results=[
            DeleteAclsFilterResult(error_code=_DISABLED, error_message=_WHY) for _ in message.filters
        ]
    )
