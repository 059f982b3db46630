"""ListConfigResources (key 74), versions 0-1: whose configs can be described (KIP-1142).

Version notes: v0 lists client metrics only; v1 the resource types asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.client_metrics import TABLE
from rota.broker.config_changes import (
    BROKER_LOGGER_RESOURCE,
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
)
from rota.model import ErrorCode
from rota.wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_BEFORE_TYPES = 0


def handle(
    broker: Broker, message: ListConfigResourcesRequest, request: Request
) -> ListConfigResourcesResponse:
    metadata = broker.directory.metadata
    node = str(broker.node_id)
    names = {
        TOPIC_RESOURCE: [topic.name for topic in broker.topics],
        BROKER_RESOURCE: [node],
        BROKER_LOGGER_RESOURCE: [node],
        CLIENT_METRICS_RESOURCE: metadata.names(TABLE),
        GROUP_RESOURCE: sorted({*metadata.groups_with_configs(), *broker.once_configured}),
    }
    types = message.resource_types or list(names)
    if request.version == _BEFORE_TYPES:
        types = [CLIENT_METRICS_RESOURCE]
    if not set(types) <= names.keys():
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=resource_type)
            for resource_type in dict.fromkeys(types)
            for name in names[resource_type]
        ]
    )
