"""The state of share groups, which brokers ask of each other: initialize (83), read (84), write (85), delete (86), and
a summary of it (87).

There are no share groups (``handlers/share_groups.py``), and so nobody who keeps their state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rota.model import ErrorCode
from rota.wire.messages import delete_share_group_state as delete
from rota.wire.messages import initialize_share_group_state as initialize
from rota.wire.messages import read_share_group_state as read
from rota.wire.messages import read_share_group_state_summary as summary
from rota.wire.messages import write_share_group_state as write

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["handle"]

# Request -> response, result of a topic and of a partition.
_ANSWERS: Final[dict[type[Message], tuple[Any, Any, Any]]] = {
    initialize.InitializeShareGroupStateRequest: (
        initialize.InitializeShareGroupStateResponse,
        initialize.InitializeStateResult,
        initialize.PartitionResult,
    ),
    read.ReadShareGroupStateRequest: (
        read.ReadShareGroupStateResponse,
        read.ReadStateResult,
        read.PartitionResult,
    ),
    write.WriteShareGroupStateRequest: (
        write.WriteShareGroupStateResponse,
        write.WriteStateResult,
        write.PartitionResult,
    ),
    delete.DeleteShareGroupStateRequest: (
        delete.DeleteShareGroupStateResponse,
        delete.DeleteStateResult,
        delete.PartitionResult,
    ),
    summary.ReadShareGroupStateSummaryRequest: (
        summary.ReadShareGroupStateSummaryResponse,
        summary.ReadStateSummaryResult,
        summary.PartitionResult,
    ),
}


def handle(_broker: Broker, message: Any, _request: Request) -> Message:
    response, of_topic, of_partition = _ANSWERS[type(message)]
    answer: Message = response(
        results=[
            of_topic(
                topic_id=topic.topic_id,
                partitions=[
                    of_partition(
                        partition=each.partition,
                        error_code=ErrorCode.NOT_COORDINATOR,
                        error_message="there are no share groups",
                    )
                    for each in topic.partitions
                ],
            )
            for topic in message.topics
        ]
    )
    return answer
