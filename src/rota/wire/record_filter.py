"""A batch made again with some of its records, as compaction leaves it: offsets, producer and sequence stay.

Records are found without being unpacked, and those that stay are copied as they are. Only where the batch gets a
delete horizon (KIP-534: its base timestamp then is the time at which its tombstones may go, and attribute bit 6 says
so) their timestamp deltas are written again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rota.wire.compression import CODEC_IDS
from rota.wire.crc import crc32c
from rota.wire.records import HEADER_SIZE, BatchHeader, CorruptBatchError, read_varint, write_varint

__all__ = ["Span", "empty_batch", "record_body", "record_spans", "sealed_batch"]

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC = struct.Struct(">I")
_CRC_AT: Final = 17
_ATTRIBUTES_AT: Final = 21
_LENGTH_PREFIX: Final = 12
_CODEC_MASK: Final = 0x07
_APPEND_TIME: Final = 0x08
_DELETE_HORIZON: Final = 0x40
_NO_TIME: Final = -1


class Span(NamedTuple):
    """Where a record lies in its batch's uncompressed bytes, and what compaction has to know of it.

    ``rest`` is the position behind the timestamp delta.
    """

    start: int
    end: int
    rest: int
    timestamp_delta: int
    offset_delta: int
    key: bytes | None
    has_value: bool


def record_spans(data: bytes, at: int, end: int, count: int) -> Iterator[Span]:
    """Each of ``count`` records in ``data[at:end]``. Raises ``CorruptBatchError`` where they are malformed."""
    try:
        for _ in range(count):
            start = at
            length, at = read_varint(data, at)
            record_end = at + length
            if length < 0 or record_end > end:
                raise CorruptBatchError("a record is longer than its batch")
            timestamp_delta, rest = read_varint(data, at + 1)
            offset_delta, at = read_varint(data, rest)
            key_length, at = read_varint(data, at)
            key = None
            if key_length >= 0:
                key = data[at : at + key_length]
                at += key_length
            value_length, at = read_varint(data, at)
            if at + max(value_length, 0) > record_end:
                raise CorruptBatchError("a field is longer than its record")
            yield Span(start, record_end, rest, timestamp_delta, offset_delta, key, value_length >= 0)
            at = record_end
    except IndexError as error:
        raise CorruptBatchError("a batch has fewer records than it claims") from error
    if at != end:
        raise CorruptBatchError(f"{end - at} bytes follow a batch's last record")


def record_body(data: bytes, kept: Sequence[Span], base_shift: int) -> bytes:
    """The records that stay, uncompressed; their timestamp deltas grow by ``base_shift`` ms."""
    if not base_shift:
        return b"".join([data[span.start : span.end] for span in kept])
    out = bytearray()
    for span in kept:
        delta = bytearray()
        write_varint(delta, span.timestamp_delta + base_shift)
        write_varint(out, 1 + len(delta) + span.end - span.rest)
        out.append(0)  # attributes, which no record has
        out += delta
        out += data[span.rest : span.end]
    return bytes(out)


def sealed_batch(
    header: BatchHeader, kept: Sequence[Span], payload: bytes, *, horizon_ms: int | None
) -> tuple[BatchHeader, bytes]:
    """The batch with only the records in ``payload`` (compressed as before), and its header.

    ``horizon_ms``: the delete horizon that it gets now; None leaves what it has.
    """
    base = header.base_timestamp
    latest = header.max_timestamp
    if not header.attributes & _APPEND_TIME:
        latest = max(base + span.timestamp_delta for span in kept)
    attributes = header.attributes
    if horizon_ms is not None:
        attributes |= _DELETE_HORIZON
        base = horizon_ms
    changed = header._replace(
        batch_length=HEADER_SIZE - _LENGTH_PREFIX + len(payload),
        attributes=attributes,
        base_timestamp=base,
        max_timestamp=latest,
        record_count=len(kept),
    )
    return _seal(changed, payload)


def empty_batch(header: BatchHeader) -> tuple[BatchHeader, bytes]:
    """The batch without any record: what says which offset, and which sequence of a producer, was there."""
    changed = header._replace(
        batch_length=HEADER_SIZE - _LENGTH_PREFIX,
        attributes=header.attributes & ~(_CODEC_MASK | _DELETE_HORIZON) | CODEC_IDS["none"],
        base_timestamp=_NO_TIME,
        record_count=0,
    )
    return _seal(changed, b"")


def _seal(header: BatchHeader, payload: bytes) -> tuple[BatchHeader, bytes]:
    out = bytearray(HEADER_SIZE)
    _HEADER.pack_into(out, 0, *header)
    out += payload
    with memoryview(out) as view:
        crc = crc32c(view[_ATTRIBUTES_AT:])
    _CRC.pack_into(out, _CRC_AT, crc)
    return header._replace(crc=crc), bytes(out)
