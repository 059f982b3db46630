"""DescribeConfigs (key 32), versions 1-4: configs of topics, this broker, its loggers, client metrics, groups.

Version notes: v1 sources and synonyms; v3 types and documentation (left out: it is Kafka's); v4 flexible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from rota.broker.client_metrics import TABLE
from rota.broker.config_answers import (
    ConfigEntry,
    broker_entries,
    client_metrics_entries,
    cluster_entries,
    group_entries,
    logger_entries,
    topic_entries,
)
from rota.broker.config_changes import (
    BROKER_LOGGER_RESOURCE,
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    node_of,
)
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

# A resource is a few bytes in a request, and a whole table in the answer.
_MOST_CONFIGS: Final = 200_000


def handle(broker: Broker, message: DescribeConfigsRequest, _request: Request) -> DescribeConfigsResponse:
    response = DescribeConfigsResponse()
    room = _MOST_CONFIGS
    times_named = Counter((each.resource_type, each.resource_name) for each in message.resources)
    looked_up: dict[tuple[int, str], list[ConfigEntry]] = {}  # of what is named several times
    for resource in message.resources:
        result = DescribeConfigsResult(
            resource_type=resource.resource_type, resource_name=resource.resource_name, error_message=""
        )
        response.results.append(result)
        try:
            if room <= 0:
                text = f"one answer has room for {_MOST_CONFIGS} configs: ask for fewer resources at a time"
                raise KafkaError(ErrorCode.INVALID_REQUEST, text)
            key = resource.resource_type, resource.resource_name
            entries = looked_up.get(key) or list(_entries(broker, *key))
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
            continue
        if times_named[key] > 1:
            looked_up[key] = entries
        wanted = set(resource.configuration_keys or ())
        result.configs = [
            _answer(entry, with_synonyms=message.include_synonyms)
            for entry in entries
            if not wanted or entry.name in wanted  # an empty list asks for all, as null does
        ]
        room -= len(result.configs)
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
        node_of(broker, name)
        return broker_entries(broker)
    if resource_type == BROKER_LOGGER_RESOURCE:
        node_of(broker, name)
        return logger_entries()
    if resource_type == CLIENT_METRICS_RESOURCE:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "a subscription's name cannot be empty")
        return client_metrics_entries(broker.directory.metadata.stored(TABLE, name))
    if resource_type == GROUP_RESOURCE:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "a group's id cannot be empty")
        return group_entries(broker, broker.directory.metadata.group_configs(name))
    raise KafkaError(ErrorCode.INVALID_REQUEST, f"resource type {resource_type} has no configs here")


def _answer(entry: ConfigEntry, *, with_synonyms: bool) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        config_type=entry.type_code,
        documentation=entry.documentation,
        synonyms=[
            DescribeConfigsSynonym(name=name, value=value, source=source)
            for name, value, source in (entry.synonyms if with_synonyms else ())
        ],
    )
