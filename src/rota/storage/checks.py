"""Which batches a log accepts, whatever it holds already."""

from __future__ import annotations

from typing import Final

from rota.model import ErrorCode, KafkaError
from rota.storage.config import LogConfig
from rota.wire import WireError
from rota.wire.compression import DEFAULT_LIMIT
from rota.wire.records import (
    HEADER_SIZE,
    BatchHeader,
    CorruptBatchError,
    check_batch,
    check_framing,
    iter_records,
    read_header,
)

__all__ = ["check_batches"]

_FOREVER: Final = 2**63 - 1
_TRANSACTIONAL: Final = 0x10
_CONTROL: Final = 0x20
_CODEC_MASK: Final = 0x07
_LAST_CODEC: Final = 4
# Of how many records of a batch the framing is followed: more would cost more than the rest of an append.
_FOLLOWED: Final = 2
# No codec makes more than this of a byte (zstd comes near it), and nobody decompresses more than the limit.
_LARGEST_RATIO: Final = 2**15
_SMALLEST_RECORD: Final = 7


def check_batches(
    data: memoryview, config: LogConfig, now_ms: int, *, from_client: bool
) -> list[tuple[int, BatchHeader]]:
    """Where each batch begins, and its header. Raises ``KafkaError``."""
    end = len(data)
    headers: list[tuple[int, BatchHeader]] = []
    position = 0
    try:
        while position < end:
            header = check_batch(data, position) if from_client else read_header(data, position)
            headers.append((position, header))
            size = header.batch_length + 12
            # However little a topic takes, the markers that end its transactions are not refused.
            if size > config.max_message_bytes and (from_client or not header.is_control):
                raise KafkaError(
                    ErrorCode.MESSAGE_TOO_LARGE,
                    f"a batch has {size} bytes, max.message.bytes is {config.max_message_bytes}",
                )
            if from_client:
                _check_header(header, config, now_ms)
                _check_count(data, position, header)
                if "compact" in config.cleanup_policy or config.message_timestamp_before_max_ms != _FOREVER:
                    _check_records(data, position, config, now_ms)
            position += size
    except CorruptBatchError as error:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    if not headers:
        raise KafkaError(ErrorCode.INVALID_RECORD, "no records")
    if from_client and len(headers) > 1 and any(header.producer_id >= 0 for _, header in headers):
        raise KafkaError(ErrorCode.INVALID_RECORD, "an idempotent producer sends one batch at a time")
    assert position == end, "batches of our own are whole"
    return headers


def _check_header(header: BatchHeader, config: LogConfig, now_ms: int) -> None:
    count = header.record_count
    if count <= 0 or header.last_offset_delta != count - 1:
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"a batch has {count} records, and its last is number {header.last_offset_delta}",
        )
    if header.attributes & _CONTROL:
        raise KafkaError(ErrorCode.INVALID_RECORD, "clients may not write control records")
    if header.producer_id >= 0 and (header.base_sequence < 0 or header.producer_epoch < 0):
        raise KafkaError(
            ErrorCode.INVALID_RECORD, "a batch with a producer id needs an epoch and a sequence number"
        )
    if header.attributes & _TRANSACTIONAL and header.producer_id < 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, "a transactional batch needs a producer id")
    if header.attributes & _CODEC_MASK > _LAST_CODEC:
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    if config.message_timestamp_type == "LogAppendTime":
        return
    if header.attributes & 0x08:
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "clients may not write LogAppendTime")
    if header.max_timestamp - now_ms > config.message_timestamp_after_max_ms:
        raise KafkaError(
            ErrorCode.INVALID_TIMESTAMP,
            f"timestamp {header.max_timestamp} is too far in the future (message.timestamp.after.max.ms)",
        )


def _check_count(data: memoryview, position: int, header: BatchHeader) -> None:
    """Whether the records can be as many as the header claims: offsets are given out by that number."""
    if not header.attributes & _CODEC_MASK:
        try:
            check_framing(data, position, header, _FOLLOWED)
        except CorruptBatchError as error:
            raise KafkaError(ErrorCode.INVALID_RECORD, str(error)) from error
        return
    largest = min((header.size - HEADER_SIZE) * _LARGEST_RATIO, DEFAULT_LIMIT)
    if header.record_count * _SMALLEST_RECORD > largest:
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"{header.record_count} records do not fit into a compressed batch of {header.size} bytes",
        )


def _check_records(data: memoryview, position: int, config: LogConfig, now_ms: int) -> None:
    """What only the records themselves show."""
    needs_key = "compact" in config.cleanup_policy
    oldest = now_ms - config.message_timestamp_before_max_ms
    by_create_time = config.message_timestamp_type == "CreateTime"
    try:
        for record in iter_records(data, position):
            if needs_key and record.key is None:
                raise KafkaError(ErrorCode.INVALID_RECORD, "records of a compacted topic need a key")
            if by_create_time and 0 <= record.timestamp < oldest:
                raise KafkaError(
                    ErrorCode.INVALID_TIMESTAMP,
                    f"timestamp {record.timestamp} is too old (message.timestamp.before.max.ms)",
                )
    except CorruptBatchError:
        raise
    except WireError as error:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
