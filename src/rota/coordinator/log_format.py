"""The bytes of the coordinator's records in ``__consumer_offsets``, as Apache Kafka reads them.

A key begins with the int16 that says what the record is (1 a committed offset, 2 a classic group, 3 to 8 and 16 a
consumer group) and a value with the int16 of its version: 4 and 3 for the first two, but 1 for an offset with an expiry
of its own, the only version with room for it. All versions are read. Records of kinds that Rota does not keep (share
groups) are skipped in reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from rota.coordinator.outcome import LogRecord
from rota.wire import WireError
from rota.wire.codec import decode, decode_versioned, encode_versioned, whole_encoder
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from rota.wire.schema import Message

__all__ = ["decode_record", "encode_record"]

_KIND_SIZE = 2
_KEY_VERSION = 0
_NO_TIME = -1
_EXPIRING_OFFSET_VALUE_VERSION = 1


class _Kind(NamedTuple):
    """A kind of record: the messages that its key and value are, and the version that values are written in."""

    key: type[Message]
    value: type[Message]
    version: int


_KINDS: Final[Mapping[int, _Kind]] = {
    0: _Kind(OffsetCommitKey, OffsetCommitValue, 3),  # of older brokers; read, not written
    1: _Kind(OffsetCommitKey, OffsetCommitValue, 4),
    2: _Kind(GroupMetadataKey, GroupMetadataValue, 3),
    3: _Kind(ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, 0),
    4: _Kind(ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue, 0),  # of Kafka 4.0
    5: _Kind(ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, 0),
    6: _Kind(ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue, 0),
    7: _Kind(ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue, 0),
    8: _Kind(ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue, 0),
    16: _Kind(ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, 0),
}
_NUMBERS: Final[Mapping[type[Message], int]] = {kind.key: number for number, kind in _KINDS.items()}


def encode_record(record: LogRecord) -> tuple[bytes, bytes | None]:
    """The key and value of a record; None is the value of a tombstone."""
    key, value = record
    number, encode_key, version, encode_value = _writer(type(key))
    encoded_key = number + encode_key(key)
    if value is None:
        return encoded_key, None
    if isinstance(value, OffsetCommitValue) and value.expire_timestamp != _NO_TIME:
        return encoded_key, encode_versioned(value, _EXPIRING_OFFSET_VALUE_VERSION)
    return encoded_key, version + encode_value(value)


@cache
def _writer(
    key: type[Message],
) -> tuple[bytes, Callable[[Message], bytes], bytes, Callable[[Message], bytes]]:
    """What keys of a type begin with and how they are encoded, and the same of their values."""
    number = _NUMBERS[key]
    kind = _KINDS[number]
    return (
        number.to_bytes(_KIND_SIZE, "big"),
        whole_encoder(key, _KEY_VERSION),
        kind.version.to_bytes(2, "big"),
        whole_encoder(kind.value, kind.version),
    )


def decode_record(key: bytes, value: bytes | None) -> LogRecord | None:
    """The record with these bytes, or None if it is of a kind that Rota does not keep.

    Raises:
        WireError: the bytes are not what their kind and version say.
    """
    if len(key) < _KIND_SIZE:
        raise WireError(f"a key of {len(key)} bytes does not say what it is")
    kind = _KINDS.get(int.from_bytes(key[:_KIND_SIZE], "big", signed=True))
    if kind is None:
        return None
    decoded = None if value is None else decode_versioned(kind.value, value)
    decoded_key: Any = decode(kind.key, _KEY_VERSION, memoryview(key)[_KIND_SIZE:])
    return LogRecord(decoded_key, decoded)
