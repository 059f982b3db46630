"""AlterPartitionReassignments (45, v0-1) and ListPartitionReassignments (46, v0): one node, nothing to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from rota.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(
    broker: Broker,
    message: AlterPartitionReassignmentsRequest | ListPartitionReassignmentsRequest,
    _request: Request,
) -> AlterPartitionReassignmentsResponse | ListPartitionReassignmentsResponse:
    if isinstance(message, ListPartitionReassignmentsRequest):
        return ListPartitionReassignmentsResponse()
    return AlterPartitionReassignmentsResponse(
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[_answer(broker, topic.name, partition) for partition in topic.partitions],
            )
            for topic in message.topics
        ]
    )


def _answer(broker: Broker, topic: str, partition: ReassignablePartition) -> ReassignablePartitionResponse:
    answer = ReassignablePartitionResponse(partition_index=partition.partition_index)
    if broker.topics.find_log(topic, partition.partition_index) is None:
        answer.error_code, answer.error_message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no such partition"
    elif partition.replicas is None:
        answer.error_code = ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
        answer.error_message = "nothing is being moved"
    elif list(partition.replicas) != [broker.node_id]:
        answer.error_code = ErrorCode.INVALID_REPLICA_ASSIGNMENT
        answer.error_message = f"the only node here is {broker.node_id}"
    return answer
