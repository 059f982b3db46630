"""IncrementalAlterConfigs (key 44), versions 0-1: set, delete, append to and subtract from single configs (KIP-339)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.config_changes import Change, change, check_named_once, written_once
from rota.model import KafkaError
from rota.wire.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(
    broker: Broker, message: IncrementalAlterConfigsRequest, _request: Request
) -> IncrementalAlterConfigsResponse:
    response = IncrementalAlterConfigsResponse()
    with written_once(broker, response):
        _change_each(broker, message, response)
    return response


def _change_each(
    broker: Broker, message: IncrementalAlterConfigsRequest, response: IncrementalAlterConfigsResponse
) -> None:
    check = check_named_once(message)
    for resource in message.resources:
        result = AlterConfigsResourceResponse(
            resource_type=resource.resource_type, resource_name=resource.resource_name, error_message=None
        )
        response.responses.append(result)
        steps = [Change(each.name, each.config_operation, each.value) for each in resource.configs]
        try:
            check(resource.resource_type, resource.resource_name)
            change(
                broker,
                resource.resource_type,
                resource.resource_name,
                steps,
                validate_only=message.validate_only,
            )
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
