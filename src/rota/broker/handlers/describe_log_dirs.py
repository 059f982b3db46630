"""DescribeLogDirs (key 35), versions 1-4: sizes of partitions on disk.

Version notes: v2 flexible; v3 a top-level error; v4 size of the volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: DescribeLogDirsRequest, _request: Request) -> DescribeLogDirsResponse:
    wanted: dict[str, set[int]] | None = None
    if message.topics is not None:
        wanted = {topic.topic: set(topic.partitions) for topic in message.topics}
    topics: dict[str, DescribeLogDirsTopic] = {}
    for tp, log in broker.topics.logs():
        if wanted is not None and tp.partition not in wanted.get(tp.topic, ()):
            continue
        topic = topics.setdefault(tp.topic, DescribeLogDirsTopic(name=tp.topic))
        topic.partitions.append(
            DescribeLogDirsPartition(
                partition_index=tp.partition, partition_size=log.size, offset_lag=0, is_future_key=False
            )
        )
    total, usable = broker.directory.volume()
    return DescribeLogDirsResponse(
        results=[
            DescribeLogDirsResult(
                log_dir=broker.directory.name,
                topics=list(topics.values()),
                total_bytes=total,
                usable_bytes=usable,
            )
        ]
    )
