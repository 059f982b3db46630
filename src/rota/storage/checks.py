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
    check_compressed,
    check_framing,
    iter_records,
    read_header,
)

__all__ = ["RecordsRefusedError", "check_batches"]

_NO_TIME: Final = -1
_FOREVER: Final = 2**63 - 1
_TRANSACTIONAL: Final = 0x10
_CONTROL: Final = 0x20
_CODEC_MASK: Final = 0x07
_LAST_CODEC: Final = 4
# Up to this size the lengths of all records are followed. Of a larger batch those of so many, and of one more for so
# many bytes: more would cost more than a third of a request. Records as long as those before them cost next to nothing.
_FOLLOWED_WHOLE_BYTES: Final = 4096
_FOLLOWED: Final = 150
_BYTES_FOR_ANOTHER: Final = 1000
# What is compressed is opened where that costs less than a third of a request: see DESIGN.md.
_OPENED_BYTES: Final = 1024
_OPENED_PLAIN_BYTES: Final = 16 * 1024
# No codec makes more than this of a byte (zstd comes near it), and nobody decompresses more than the limit.
_LARGEST_RATIO: Final = 2**15
_SMALLEST_RECORD: Final = 7
# A kilobyte can be thirty million records, and whoever reads them keeps everybody waiting for a minute. Of clients that
# work, librdkafka's limit is this, and Java's producers come to a tenth of it.
_MOST_RECORDS: Final = 1_000_000
# How many of a batch's records are named at most when they are refused; Kafka names them all.
_NAMED: Final = 10_000


class RecordsRefusedError(KafkaError):
    """A batch is refused for some of its records; ``records`` are (number in the batch, why), in order."""

    def __init__(self, code: ErrorCode, records: list[tuple[int, str]]) -> None:
        number, reason = records[0]
        super().__init__(code, f"{len(records)} records are refused, first number {number}: {reason}")
        self.records = records


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
                _check_header(header, config)
                _check_count(data, position, header)
                ahead = header.max_timestamp - now_ms > config.message_timestamp_after_max_ms
                if (
                    ahead
                    or "compact" in config.cleanup_policy
                    or config.message_timestamp_before_max_ms != _FOREVER
                ):
                    _check_records(data, position, config, now_ms)
                if ahead and config.message_timestamp_type != "LogAppendTime":
                    raise KafkaError(
                        ErrorCode.INVALID_TIMESTAMP, "a batch claims a time that its records have not"
                    )
            position += size
    except CorruptBatchError as error:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    if not headers:
        raise KafkaError(ErrorCode.INVALID_RECORD, "no records")
    if from_client and len(headers) > 1 and any(header.producer_id >= 0 for _, header in headers):
        raise KafkaError(ErrorCode.INVALID_RECORD, "an idempotent producer sends one batch at a time")
    assert position == end, "batches of our own are whole"
    return headers


def _check_header(header: BatchHeader, config: LogConfig) -> None:
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
    if config.message_timestamp_type != "LogAppendTime" and header.attributes & 0x08:
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, "clients may not write LogAppendTime")


def _check_count(data: memoryview, position: int, header: BatchHeader) -> None:
    """Whether the records can be as many as the header claims: offsets are given out by that number."""
    try:
        if not header.attributes & _CODEC_MASK:
            length, at_most = header.batch_length, header.record_count
            if length > _FOLLOWED_WHOLE_BYTES:
                at_most = _FOLLOWED + length // _BYTES_FOR_ANOTHER
            check_framing(data, position, header, at_most)
            return
        largest = min((header.size - HEADER_SIZE) * _LARGEST_RATIO, DEFAULT_LIMIT)
        if header.record_count > _MOST_RECORDS:
            raise CorruptBatchError(
                f"a compressed batch has {header.record_count} records, {_MOST_RECORDS} at most"
            )
        if header.record_count * _SMALLEST_RECORD > largest:
            raise CorruptBatchError(
                f"{header.record_count} records do not fit into a compressed batch of {header.size} bytes"
            )
        if header.batch_length <= _OPENED_BYTES:
            check_compressed(data, position, header, _OPENED_PLAIN_BYTES)
    except CorruptBatchError as error:
        raise KafkaError(ErrorCode.INVALID_RECORD, str(error)) from error
    except WireError as error:  # so does Kafka say it
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from error


def _check_records(data: memoryview, position: int, config: LogConfig, now_ms: int) -> None:
    """What only the records themselves show. All that are wrong are named, as far as there is room."""
    needs_key = "compact" in config.cleanup_policy
    oldest = now_ms - config.message_timestamp_before_max_ms
    newest = now_ms + config.message_timestamp_after_max_ms
    by_create_time = config.message_timestamp_type == "CreateTime"
    code = ErrorCode.INVALID_RECORD
    wrong: list[tuple[int, str]] = []
    try:
        for index, record in enumerate(iter_records(data, position)):
            if needs_key and record.key is None:
                wrong.append((index, "a record of a compacted topic needs a key"))
            elif by_create_time and record.timestamp != _NO_TIME and not oldest <= record.timestamp <= newest:
                code = ErrorCode.INVALID_TIMESTAMP
                wrong.append((index, f"timestamp {record.timestamp} is not within {oldest} to {newest}"))
            if len(wrong) >= _NAMED:
                break
    except CorruptBatchError as error:
        raise KafkaError(ErrorCode.INVALID_RECORD, str(error)) from error
    except WireError as error:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from error
    if wrong:
        raise RecordsRefusedError(code, wrong)
