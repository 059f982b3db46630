"""Metadata (key 3), versions 0-13: brokers, topics and their partitions.

Version notes: v1 null topics mean all (v0: an empty list does); v2 cluster id; v4 auto-creation; v5 offline replicas;
v7 leader epoch; v8 authorized operations; v9 flexible; v10 topic ids; v12 nullable names; v13 a top-level error.

A topic that is created because a client asked for it is not there yet in that answer, as in Apache Kafka, where
another node creates it: clients ask again after a moment.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rota.broker.group_names import INTERNAL
from rota.broker.storage_errors import complain, storing
from rota.broker.topics import check_topic_name
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.broker.topics import Topic

__all__ = ["ALL_CLUSTER_OPERATIONS", "ALL_TOPIC_OPERATIONS", "NOT_ASKED", "handle"]

log = logging.getLogger(__name__)

# Bits are AclOperation codes; without an authorizer everything is allowed.
ALL_TOPIC_OPERATIONS = sum(1 << code for code in (3, 4, 5, 6, 7, 8, 10, 11))
ALL_CLUSTER_OPERATIONS = sum(1 << code for code in (5, 7, 8, 9, 10, 11, 12))
NOT_ASKED = -(2**31)
_NO_ID = bytes(16)
_FIRST_WITH_IDS = 12


def handle(broker: Broker, message: MetadataRequest, request: Request) -> MetadataResponse:
    host, port = request.listener
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=broker.node_id, host=host, port=port, rack=broker.rack)],
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
    )
    if 8 <= request.version <= 10 and message.include_cluster_authorized_operations:
        response.cluster_authorized_operations = ALL_CLUSTER_OPERATIONS
    wants_all = message.topics is None or (request.version == 0 and not message.topics)
    if wants_all:
        response.topics = [_describe(broker, topic) for topic in broker.topics]
    else:
        assert message.topics is not None
        wanted = dict.fromkeys((each.name, each.topic_id) for each in message.topics)
        response.topics = [_answer(broker, name, topic_id, request.version) for name, topic_id in wanted]
        if message.allow_auto_topic_creation or request.version < 4:
            missing = [
                each.name
                for each in response.topics
                if each.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and each.name is not None
            ]
            if missing and broker.settings.bool("auto.create.topics.enable"):
                _create_all(broker, missing)
    if message.include_topic_authorized_operations:
        for described in response.topics:
            if described.error_code == 0:
                described.topic_authorized_operations = ALL_TOPIC_OPERATIONS
    return response


def _answer(broker: Broker, name: str | None, topic_id: bytes, version: int) -> MetadataResponseTopic:
    has_id = topic_id != _NO_ID
    if (has_id and version < _FIRST_WITH_IDS) or (name is None and not has_id):
        # Neither name nor id; or an id in a version that has the field, but no meaning for it.
        return MetadataResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name=name or "", topic_id=topic_id)
    if has_id:
        topic = broker.topics.by_id(topic_id)
        if topic is None:
            return MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id)
        return _describe(broker, topic)
    assert name is not None
    topic = broker.topics.get(name)
    if topic is not None:
        return _describe(broker, topic)
    answer = MetadataResponseTopic(
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name=name, is_internal=name in INTERNAL
    )
    try:
        check_topic_name(name)
    except KafkaError as error:
        answer.error_code = error.code
    return answer


def _create_all(broker: Broker, names: list[str]) -> None:
    """Create topics because a client asked for them: no more than by CreateTopics, and written down together."""
    most = broker.topics.MOST_OF_A_REQUEST
    if len(names) * broker.settings.int("num.partitions") > most:
        complain("create topics which a client asked for", f"more than {most} partitions in one request")
    elif len(names) == 1:
        _create(broker, names[0])
    else:
        try:
            with storing("topics"), broker.directory.metadata.at_once():
                for name in names:
                    _create(broker, name)
        except KafkaError:
            for name in filter(broker.topics.__contains__, names):
                broker.topics.take_back(name)


def _create(broker: Broker, name: str) -> None:
    """Create a topic because a client asked for it; why that is not possible, only the log is told."""
    try:
        if name in INTERNAL:
            broker.create_own_topic(name)  # never with a default topic's settings
        else:
            broker.topics.create_automatically(name)
    except KafkaError as error:
        complain(f"create topic {name[:100]}, which a client asked for,", error)
    else:
        log.info("topic %s created: a client asked for it (auto.create.topics.enable)", name)


def _describe(broker: Broker, topic: Topic) -> MetadataResponseTopic:
    nodes = [broker.node_id]
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.is_internal,
        partitions=[
            MetadataResponsePartition(
                partition_index=index,
                leader_id=broker.node_id,
                leader_epoch=broker.leader_epoch,
                replica_nodes=nodes,
                isr_nodes=nodes,
            )
            for index in range(topic.partitions)
        ],
    )
