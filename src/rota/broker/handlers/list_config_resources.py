"""ListConfigResources (key 74), versions 0-1: whose configs can be described (KIP-1142).

Version notes: v0 lists client metrics only (there are none); v1 the resource types asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.config_changes import BROKER_RESOURCE, GROUP_RESOURCE, TOPIC_RESOURCE
from rota.wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_DEFAULT_TYPES = [BROKER_RESOURCE, TOPIC_RESOURCE, GROUP_RESOURCE]


def handle(
    broker: Broker, message: ListConfigResourcesRequest, request: Request
) -> ListConfigResourcesResponse:
    if request.version == 0:
        return ListConfigResourcesResponse()
    names = {
        TOPIC_RESOURCE: [topic.name for topic in broker.topics],
        BROKER_RESOURCE: [str(broker.node_id)],
        GROUP_RESOURCE: broker.directory.metadata.groups_with_configs(),
    }
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=resource_type)
            for resource_type in message.resource_types or _DEFAULT_TYPES
            for name in names.get(resource_type, [])
        ]
    )
