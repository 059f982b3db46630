"""AlterConfigs (key 33), versions 0-2: replace a resource's configs as a whole (deprecated by KIP-339)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.config_changes import check_named_once, replace, written_once
from rota.model import KafkaError
from rota.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: AlterConfigsRequest, _request: Request) -> AlterConfigsResponse:
    response = AlterConfigsResponse()
    with written_once(broker, response):
        _change_each(broker, message, response)
    return response


def _change_each(broker: Broker, message: AlterConfigsRequest, response: AlterConfigsResponse) -> None:
    check = check_named_once(message)
    for resource in message.resources:
        result = AlterConfigsResourceResponse(
            resource_type=resource.resource_type, resource_name=resource.resource_name, error_message=None
        )
        response.responses.append(result)
        values = {config.name: config.value for config in resource.configs}
        try:
            check(resource.resource_type, resource.resource_name)
            replace(
                broker,
                resource.resource_type,
                resource.resource_name,
                values,
                validate_only=message.validate_only,
            )
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
