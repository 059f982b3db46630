"""AlterReplicaLogDirs (key 34), versions 1-2: move partitions to another directory. There is one, where they are.

Version notes: v2 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(
    broker: Broker, message: AlterReplicaLogDirsRequest, _request: Request
) -> AlterReplicaLogDirsResponse:
    answers: dict[str, dict[int, ErrorCode]] = {}
    for directory in message.dirs:
        for topic in directory.topics:
            for partition in topic.partitions:
                code = _move(broker, directory.path, topic.name, partition)
                answers.setdefault(topic.name, {})[partition] = code
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=name,
                partitions=[
                    AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code)
                    for index, code in codes.items()
                ],
            )
            for name, codes in answers.items()
        ]
    )


def _move(broker: Broker, path: str, topic: str, partition: int) -> ErrorCode:
    if path != broker.directory.name:
        return ErrorCode.LOG_DIR_NOT_FOUND
    if broker.topics.find_log(topic, partition) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE
