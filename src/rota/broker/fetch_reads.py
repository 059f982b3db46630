"""What a fetch finds of one partition.

Records are found, not read: they go out as file regions (``sendfile``) and never enter this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    LeaderIdAndEpoch,
    PartitionData,
    SnapshotId,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.broker.broker import Broker
    from rota.broker.fetch_sessions import WantedPartition
    from rota.storage import FileRegion, Log

__all__ = ["data_of", "find_log", "not_there", "read"]

# What no answer says: the same for all, so that they are not made for each partition of each.
_NO_EPOCH, _NO_LEADER, _NO_SNAPSHOT = EpochEndOffset(), LeaderIdAndEpoch(), SnapshotId()


def find_log(broker: Broker, wanted: WantedPartition) -> Log | None:
    """The log of a partition, or None."""
    if not wanted.by_id:
        return broker.topics.find_log(wanted.topic, wanted.partition)
    # By its id, for a topic of the same name may have taken its place since.
    return broker.topics.find_log_by_id(wanted.topic_id, wanted.partition)


def read(
    broker: Broker, wanted: WantedPartition, log: Log, room: int, committed_only: bool, *, first: bool
) -> tuple[PartitionData, int, bool]:
    """What is to be answered of a partition, how many bytes of records that is, and whether there are more."""
    if wanted.current_leader_epoch > broker.leader_epoch:
        return _failure(wanted, ErrorCode.UNKNOWN_LEADER_EPOCH), 0, False
    if 0 <= wanted.current_leader_epoch < broker.leader_epoch:
        return _failure(wanted, ErrorCode.FENCED_LEADER_EPOCH), 0, False
    chunks: list[FileRegion | memoryview] = []
    size = 0
    read_to = wanted.fetch_offset
    try:
        if not log.log_start_offset <= wanted.fetch_offset <= log.log_end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        limit = min(wanted.max_bytes, max(room, 0))
        end = log.last_stable_offset if committed_only else log.log_end_offset
        if wanted.fetch_offset < end and (limit > 0 or first):
            chunks, size, read_to = log.read(wanted.fetch_offset, limit, min_one_batch=first, up_to=end)
    except KafkaError as error:
        return _failure(wanted, error.code), 0, False
    except OSError:
        return _failure(wanted, ErrorCode.KAFKA_STORAGE_ERROR), 0, False
    aborted = None
    if committed_only:
        aborted = [
            AbortedTransaction(producer_id=producer_id, first_offset=first_offset)
            for producer_id, first_offset in log.aborted_transactions(wanted.fetch_offset, read_to)
        ]
    return data_of(wanted, log, aborted, chunks if size else b""), size, read_to < end


def data_of(
    wanted: WantedPartition,
    log: Log,
    aborted: list[AbortedTransaction] | None,
    records: Sequence[FileRegion | memoryview] | bytes,
) -> PartitionData:
    return PartitionData(
        partition_index=wanted.partition,
        high_watermark=log.high_watermark,
        last_stable_offset=log.last_stable_offset,
        log_start_offset=log.log_start_offset,
        diverging_epoch=_NO_EPOCH,
        current_leader=_NO_LEADER,
        snapshot_id=_NO_SNAPSHOT,
        aborted_transactions=aborted,
        records=records,
    )


def not_there(broker: Broker, wanted: WantedPartition) -> PartitionData:
    unknown_id = wanted.by_id and broker.topics.by_id(wanted.topic_id) is None
    code = ErrorCode.UNKNOWN_TOPIC_ID if unknown_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    failure = _failure(wanted, code)
    failure.aborted_transactions = []  # null only where a log was found, as in Kafka
    return failure


def _failure(wanted: WantedPartition, code: ErrorCode) -> PartitionData:
    return PartitionData(
        partition_index=wanted.partition,
        error_code=code,
        high_watermark=-1,
        last_stable_offset=-1,
        log_start_offset=-1,
        aborted_transactions=None,
        records=b"",
    )
