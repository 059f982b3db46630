"""DescribeConfigs (key 32), versions 1-4: configs of topics, of this broker, and of groups.

Version notes: v1 sources and synonyms; v3 types and documentation (left out: it is Kafka's); v4 flexible.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rota.broker.config_answers import (
    ConfigEntry,
    broker_entries,
    cluster_entries,
    group_entries,
    topic_entries,
)
from rota.broker.config_changes import BROKER_RESOURCE, GROUP_RESOURCE, TOPIC_RESOURCE
from rota.broker.topics import check_topic_name
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: DescribeConfigsRequest, _request: Request) -> DescribeConfigsResponse:
    response = DescribeConfigsResponse()
    answered: set[tuple[int, str]] = set()
    for resource in message.resources:
        if (resource.resource_type, resource.resource_name) in answered:
            continue  # a few bytes, repeated, would ask for as many whole tables
        answered.add((resource.resource_type, resource.resource_name))
        result = DescribeConfigsResult(
            resource_type=resource.resource_type, resource_name=resource.resource_name, error_message=""
        )
        response.results.append(result)
        try:
            entries = _entries(broker, resource.resource_type, resource.resource_name)
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
            continue
        wanted = resource.configuration_keys
        result.configs = [
            _answer(entry, with_synonyms=message.include_synonyms)
            for entry in entries
            if not wanted or entry.name in wanted  # an empty list asks for all, as null does
        ]
    return response


def _entries(broker: Broker, resource_type: int, name: str) -> Iterable[ConfigEntry]:
    if resource_type == TOPIC_RESOURCE:
        check_topic_name(name)
        topic = broker.topics.get(name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
        return topic_entries(broker, topic.configs)
    if resource_type == BROKER_RESOURCE:
        if not name:
            return cluster_entries(broker)
        if name != str(broker.node_id):
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"there is no broker {name}; this one is {broker.node_id}"
            )
        return broker_entries(broker)
    if resource_type == GROUP_RESOURCE:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "a group's id cannot be empty")
        return group_entries(broker.directory.metadata.group_configs(name))
    raise KafkaError(ErrorCode.INVALID_REQUEST, f"resource type {resource_type} has no configs here")


def _answer(entry: ConfigEntry, *, with_synonyms: bool) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        config_type=entry.type_code,
        documentation=None,
        synonyms=[
            DescribeConfigsSynonym(name=name, value=value, source=source)
            for name, value, source in (entry.synonyms if with_synonyms else ())
        ],
    )
