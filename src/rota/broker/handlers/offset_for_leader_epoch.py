"""OffsetForLeaderEpoch (key 23), versions 2-4: where a leader epoch ends (KIP-320).

Version notes: v3 replica id; v4 flexible. One node leads every partition in one epoch for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(
    broker: Broker, message: OffsetForLeaderEpochRequest, _request: Request
) -> OffsetForLeaderEpochResponse:
    response = OffsetForLeaderEpochResponse()
    for topic in message.topics:
        answers = []
        for wanted in topic.partitions:
            log = broker.topics.find_log(topic.topic, wanted.partition)
            answer = EpochEndOffset(partition=wanted.partition, leader_epoch=-1, end_offset=-1)
            if log is None:
                answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif wanted.current_leader_epoch > broker.leader_epoch:
                answer.error_code = ErrorCode.UNKNOWN_LEADER_EPOCH
            elif 0 <= wanted.current_leader_epoch < broker.leader_epoch:
                answer.error_code = ErrorCode.FENCED_LEADER_EPOCH
            else:
                answer.leader_epoch, answer.end_offset = log.epoch_end_offset(wanted.leader_epoch)
            answers.append(answer)
        response.topics.append(OffsetForLeaderTopicResult(topic=topic.topic, partitions=answers))
    return response
