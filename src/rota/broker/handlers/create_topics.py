"""CreateTopics (key 19), versions 2-7.

Version notes: v4 -1 partitions or replicas mean the default; v5 flexible, and the answer lists the configuration;
v7 topic id. The replication factor can only be 1: there is one node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rota.broker.config_answers import topic_entries
from rota.broker.storage_errors import storing
from rota.broker.topics import check_topic_configs, check_topic_name
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: CreateTopicsRequest, _request: Request) -> CreateTopicsResponse:
    times_named = Counter(topic.name for topic in message.topics)
    response = CreateTopicsResponse()
    free: list[tuple[CreatableTopic, CreatableTopicResult]] = []
    # All names are looked at before the first topic is made: two that collide with each other only are both good.
    for wanted in {topic.name: topic for topic in message.topics}.values():
        result = CreatableTopicResult(
            name=wanted.name, error_message=None, num_partitions=-1, replication_factor=-1
        )
        response.topics.append(result)
        with _answering(result):
            if times_named[wanted.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"topic {wanted.name} is named more than once")
            check_topic_name(wanted.name)
            broker.create_own_topic(wanted.name)  # it has the broker's settings, whoever asks for it first
            broker.topics.check_free(wanted.name)
            free.append((wanted, result))
    too_many = _total(broker, message) > broker.topics.MOST_OF_A_REQUEST
    with _written_once(broker, [] if message.validate_only else [result for _, result in free]):
        for wanted, result in free:
            with _answering(result):
                if too_many:
                    text = f"more than {broker.topics.MOST_OF_A_REQUEST} partitions in one request"
                    raise KafkaError(ErrorCode.POLICY_VIOLATION, text)
                _create(broker, wanted, result, validate_only=message.validate_only)
    return response


@contextmanager
def _written_once(broker: Broker, results: list[CreatableTopicResult]) -> Iterator[None]:
    """Topics made inside are written down together: one by one, thousands would keep everybody waiting for minutes."""
    if len(results) < 2:
        yield
        return
    try:
        with storing("topics"), broker.directory.metadata.at_once():
            yield
    except KafkaError as error:
        for result in results:
            if not result.error_code:
                broker.topics.take_back(result.name)
                result.error_code, result.error_message = error.code, error.message
                result.topic_id = bytes(16)


def _total(broker: Broker, message: CreateTopicsRequest) -> int:
    """How many partitions a request asks for."""
    default = broker.settings.int("num.partitions")
    return sum(
        len(topic.assignments) or (default if topic.num_partitions == -1 else max(topic.num_partitions, 0))
        for topic in message.topics
    )


@contextmanager
def _answering(result: CreatableTopicResult) -> Iterator[None]:
    """A ``KafkaError`` inside becomes a topic's answer."""
    try:
        yield
    except KafkaError as error:
        result.error_code, result.error_message = error.code, error.message


def _create(
    broker: Broker, wanted: CreatableTopic, result: CreatableTopicResult, *, validate_only: bool
) -> None:
    partitions = _partition_count(broker, wanted)
    configs = {}
    for config in wanted.configs:
        if config.value is None:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"{config.name} has no value")
        configs[config.name] = config.value
    check_topic_configs(configs)
    if not validate_only:
        result.topic_id = broker.topics.create(wanted.name, partitions, configs).id
    result.num_partitions = partitions
    result.replication_factor = 1
    result.configs = [
        CreatableTopicConfigs(
            name=entry.name,
            value=entry.value,
            read_only=entry.read_only,
            config_source=entry.source,
            is_sensitive=entry.is_sensitive,
        )
        for entry in topic_entries(broker, configs)
    ]


def _partition_count(broker: Broker, wanted: CreatableTopic) -> int:
    if wanted.assignments:
        if wanted.num_partitions != -1 or wanted.replication_factor != -1:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                "partitions and replication factor are -1 when replicas are assigned",
            )
        indexes = sorted(each.partition_index for each in wanted.assignments)
        if indexes != list(range(len(indexes))):
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions are numbered from 0 without gaps"
            )
        if any(list(each.broker_ids) != [broker.node_id] for each in wanted.assignments):
            raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"the only node here is {broker.node_id}")
        return len(indexes)
    if wanted.replication_factor not in {-1, 1}:
        too_many = wanted.replication_factor > 1
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"replication factor {wanted.replication_factor}: "
            + ("there is one node, so it must be 1" if too_many else "it must be 1, or -1 for the default"),
        )
    if wanted.num_partitions == -1:
        return broker.settings.int("num.partitions")
    if not 1 <= wanted.num_partitions <= broker.topics.MOST_PARTITIONS:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"{wanted.num_partitions} partitions: between 1 and {broker.topics.MOST_PARTITIONS} are possible",
        )
    return wanted.num_partitions
