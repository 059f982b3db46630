"""DescribeCluster (key 60), versions 0-2.

Version notes: v1 endpoint type (1 brokers, 2 controllers); v2 fenced brokers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.handlers.metadata import ALL_CLUSTER_OPERATIONS
from rota.model import ErrorCode
from rota.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_BROKERS = 1
_CONTROLLERS = 2


def handle(broker: Broker, message: DescribeClusterRequest, request: Request) -> DescribeClusterResponse:
    if request.version >= 1 and message.endpoint_type != _BROKERS:
        known = message.endpoint_type == _CONTROLLERS
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE if known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message="this is a broker's endpoint" if known else "endpoint type is 1 or 2",
        )
    host, port = request.listener
    response = DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=[DescribeClusterBroker(broker_id=broker.node_id, host=host, port=port, rack=broker.rack)],
    )
    if message.include_cluster_authorized_operations:
        response.cluster_authorized_operations = ALL_CLUSTER_OPERATIONS
    return response
