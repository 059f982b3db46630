"""The bytes of the coordinator's records in ``__consumer_offsets``, as Apache Kafka reads them.

A key begins with the int16 that says what the record is (1 a committed offset, 2 a group) and a value with
the int16 of its version: 3 for both, but 1 for an offset with an expiry of its own, the only version with
room for it. Kafka 4.1 itself writes offsets in version 4, which only adds room for tags, and reads them all.
Records of kinds that Rota does not keep (KIP-848 groups, share groups) are skipped in reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.outcome import LogRecord
from rota.wire import WireError
from rota.wire.codec import decode, decode_versioned, encode, encode_versioned
from rota.wire.messages.group_log import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)

if TYPE_CHECKING:
    from rota.wire.schema import Message

__all__ = ["decode_record", "encode_record"]

_KIND_SIZE = 2
_KEY_VERSION = 0
_LEGACY_OFFSET_KEY, _OFFSET_KEY, _GROUP_KEY = 0, 1, 2
_OFFSET_VALUE_VERSION = _GROUP_VALUE_VERSION = 3
_EXPIRING_OFFSET_VALUE_VERSION = 1
_NO_TIME = -1


def encode_record(record: LogRecord) -> tuple[bytes, bytes | None]:
    """The key and value of a record; None is the value of a tombstone."""
    key, value = record
    kind = _OFFSET_KEY if isinstance(key, OffsetCommitKey) else _GROUP_KEY
    encoded_key = kind.to_bytes(_KIND_SIZE, "big") + encode(key, _KEY_VERSION)
    if value is None:
        return encoded_key, None
    version = _GROUP_VALUE_VERSION
    if isinstance(value, OffsetCommitValue):
        expires = value.expire_timestamp != _NO_TIME
        version = _EXPIRING_OFFSET_VALUE_VERSION if expires else _OFFSET_VALUE_VERSION
    return encoded_key, encode_versioned(value, version)


def decode_record(key: bytes, value: bytes | None) -> LogRecord | None:
    """The record with these bytes, or None if it is of a kind that Rota does not keep.

    Raises:
        WireError: the bytes are not what their kind and version say.
    """
    if len(key) < _KIND_SIZE:
        raise WireError(f"a key of {len(key)} bytes does not say what it is")
    kind = int.from_bytes(key[:_KIND_SIZE], "big", signed=True)
    rest = memoryview(key)[_KIND_SIZE:]
    if kind in (_LEGACY_OFFSET_KEY, _OFFSET_KEY):
        decoded: Message | None = None if value is None else decode_versioned(OffsetCommitValue, value)
        return LogRecord(decode(OffsetCommitKey, _KEY_VERSION, rest), decoded)
    if kind == _GROUP_KEY:
        decoded = None if value is None else decode_versioned(GroupMetadataValue, value)
        return LogRecord(decode(GroupMetadataKey, _KEY_VERSION, rest), decoded)
    return None
