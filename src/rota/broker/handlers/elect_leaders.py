"""ElectLeaders (key 43), versions 0-2: the only node leads already, so no election is ever needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: ElectLeadersRequest, _request: Request) -> ElectLeadersResponse:
    if message.topic_partitions is None:
        # All partitions: those that need no election are left out of the answer.
        return ElectLeadersResponse()
    return ElectLeadersResponse(
        replica_election_results=[
            ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[_result(broker, topic.topic, index) for index in topic.partitions],
            )
            for topic in message.topic_partitions
        ]
    )


def _result(broker: Broker, topic: str, partition: int) -> PartitionResult:
    exists = broker.topics.find_log(topic, partition) is not None
    return PartitionResult(
        partition_id=partition,
        error_code=ErrorCode.ELECTION_NOT_NEEDED if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        error_message="the only node leads already" if exists else "no such partition",
    )
