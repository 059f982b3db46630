"""DescribeQuorum (key 55), versions 0-2: who holds the cluster's metadata. One node: this one.

There is no log of metadata here (it is one file, ``rota-metadata.json``), so its offsets are 0.

Version notes: v1 times of the last fetch; v2 directories, error messages, and where the voters listen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.model import ErrorCode
from rota.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData,
    Listener,
    Node,
    ReplicaState,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_QUORUM: Final = ("__cluster_metadata", 0)
_FIRST_ELECTION: Final = 1


def handle(broker: Broker, message: DescribeQuorumRequest, request: Request) -> DescribeQuorumResponse:
    asked = [
        (topic.topic_name, each.partition_index) for topic in message.topics for each in topic.partitions
    ]
    if not asked:
        return DescribeQuorumResponse()
    if asked != [_QUORUM]:
        return DescribeQuorumResponse(
            topics=[
                DescribeQuorumResponseTopicData(
                    topic_name=topic.topic_name,
                    partitions=[_unknown(each.partition_index) for each in topic.partitions],
                )
                for topic in message.topics
            ]
        )
    host, port = request.listener
    return DescribeQuorumResponse(
        topics=[DescribeQuorumResponseTopicData(topic_name=_QUORUM[0], partitions=[_this_node(broker)])],
        nodes=[Node(node_id=broker.node_id, listeners=[Listener(name="CONTROLLER", host=host, port=port)])],
    )


def _this_node(broker: Broker) -> DescribeQuorumResponsePartitionData:
    now_ms = broker.clock.now_ms()
    voter = ReplicaState(
        replica_id=broker.node_id, last_fetch_timestamp=now_ms, last_caught_up_timestamp=now_ms
    )
    return DescribeQuorumResponsePartitionData(
        leader_id=broker.node_id, leader_epoch=_FIRST_ELECTION, current_voters=[voter]
    )


def _unknown(partition: int) -> DescribeQuorumResponsePartitionData:
    return DescribeQuorumResponsePartitionData(
        partition_index=partition,
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        error_message="only the quorum of __cluster_metadata can be described",
    )
