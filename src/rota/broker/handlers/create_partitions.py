"""CreatePartitions (key 37), versions 0-3: raise a topic's partition count.

Version notes: v2 flexible; v3 quota errors (none here).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: CreatePartitionsRequest, _request: Request) -> CreatePartitionsResponse:
    times_named = Counter(topic.name for topic in message.topics)
    response = CreatePartitionsResponse()
    made = 0
    for wanted in {topic.name: topic for topic in message.topics}.values():
        result = CreatePartitionsTopicResult(name=wanted.name, error_message=None)
        response.results.append(result)
        try:
            if times_named[wanted.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"topic {wanted.name} is named more than once")
            made += _check(broker, wanted)
            if made > broker.topics.MOST_OF_A_REQUEST:
                text = f"more than {broker.topics.MOST_OF_A_REQUEST} partitions in one request"
                raise KafkaError(ErrorCode.POLICY_VIOLATION, text)
            if not message.validate_only:
                broker.add_partitions(wanted.name, wanted.count)
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
    return response


def _check(broker: Broker, wanted: CreatePartitionsTopic) -> int:
    """How many partitions come to it. Raises ``KafkaError``."""
    topic = broker.topics.get(wanted.name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if topic.is_internal:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"{topic.name} is internal: its partitions stay as they are"
        )
    if not topic.partitions < wanted.count <= broker.topics.MOST_PARTITIONS:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"topic {topic.name} has {topic.partitions} partitions; {wanted.count} is not more"
            if wanted.count <= topic.partitions
            else f"at most {broker.topics.MOST_PARTITIONS} partitions are possible",
        )
    added = wanted.count - topic.partitions
    if wanted.assignments is not None and (
        len(wanted.assignments) != added
        or any(list(each.broker_ids) != [broker.node_id] for each in wanted.assignments)
    ):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"{added} assignments to node {broker.node_id} are needed",
        )
    return added
