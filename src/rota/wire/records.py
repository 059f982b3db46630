"""Record batches, format v2 (KIP-98): read, checked and restamped in place, and built.

A batch passes through the broker as bytes. Its header has 61 bytes; the checksum covers what follows it, from the
attributes on, so that the broker may set base offset and leader epoch without computing it again::

    base_offset int64, batch_length int32, leader_epoch int32, magic int8, crc uint32,       (not in the crc)
    attributes int16, last_offset_delta int32, base_timestamp int64, max_timestamp int64,
    producer_id int64, producer_epoch int16, base_sequence int32, record_count int32, records

Attributes: bits 0-2 codec, 3 timestamp type (1: append time), 4 transactional, 5 control, 6 delete horizon.
Timestamps are milliseconds since 1970, -1 for none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from rota.wire.compression import (
    CODEC_IDS,
    CODECS,
    DEFAULT_LIMIT,
    LargerThanLimitError,
    compress,
    decompress,
)
from rota.wire.crc import crc32c
from rota.wire.errors import WireError

__all__ = [
    "HEADER_SIZE",
    "BatchHeader",
    "CorruptBatchError",
    "EndMarker",
    "Record",
    "build_batch",
    "check_batch",
    "check_compressed",
    "check_framing",
    "end_marker",
    "iter_batches",
    "iter_records",
    "one_record_batch",
    "read_end_marker",
    "read_header",
    "read_varint",
    "restamp",
    "set_append_time",
    "write_varint",
]

HEADER_SIZE: Final = 61
Buffer = bytes | bytearray | memoryview
Headers = Sequence[tuple[str, bytes | None]]

_HEADER = struct.Struct(">qiibIhiqqqhii")
_OFFSET = struct.Struct(">q")
_EPOCH = struct.Struct(">i")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_MARKER_KEY = struct.Struct(">hh")
_MARKER_VALUE = struct.Struct(">hi")
# Where things lie in a batch, and how many bytes come before what batch_length counts.
_EPOCH_AT, _MAGIC_AT, _CRC_AT, _ATTRIBUTES_AT, _MAX_TIMESTAMP_AT = 12, 16, 17, 21, 35
_LENGTH_PREFIX = 12
_LENGTH_AT, _BASE_TIMESTAMP_AT = 8, 27
_LENGTH = struct.Struct(">i")
_TIMES = struct.Struct(">qq")
_ONE_RECORD_HEAD = _HEADER.pack(0, 0, 0, 2, 0, 0, 0, 0, 0, -1, -1, -1, 1)
_ONE_BYTE = 64  # numbers below it are one byte as varints
# A record's length, its attributes, two deltas, the lengths of key and value, the number of headers.
_SMALLEST_RECORD = 7
# Records of the same length one after the other: how many make it worth while to look at them together, how long they
# are at most, and how many bytes are looked at at once, fewer at first.
_RUN, _RUN_STEP, _SMALL_CHUNK, _LARGE_CHUNK = 8, 2048, 4096, 65_536
_CODEC_MASK, _APPEND_TIME, _TRANSACTIONAL, _CONTROL, _DELETE_HORIZON = 0x07, 0x08, 0x10, 0x20, 0x40


class CorruptBatchError(WireError):
    """A batch whose size, magic or checksum is wrong."""


class BatchHeader(NamedTuple):
    """The 61 bytes at a batch's start."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return self.batch_length + _LENGTH_PREFIX

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def compression(self) -> str:
        """The codec's name. Raises ``WireError`` if there is none with that number."""
        number = self.attributes & _CODEC_MASK
        if number >= len(CODECS):
            raise WireError(f"unknown compression codec {number}")
        return CODECS[number]

    @property
    def timestamp_type(self) -> str:
        """``CreateTime`` or ``LogAppendTime``, as in ``message.timestamp.type``."""
        return "LogAppendTime" if self.attributes & _APPEND_TIME else "CreateTime"

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        """Holds a transaction's end marker or another control record, which consumers never see."""
        return bool(self.attributes & _CONTROL)

    @property
    def delete_horizon_ms(self) -> int | None:
        """When compaction may remove the tombstones in it (KIP-534); None: compaction has not set a time."""
        return self.base_timestamp if self.attributes & _DELETE_HORIZON else None


class Record(NamedTuple):
    """One record of a batch, with its offset and timestamp made absolute."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class EndMarker(NamedTuple):
    """The control record that ends a producer's transaction."""

    committed: bool
    coordinator_epoch: int


# --- headers ------------------------------------------------------------------------------------------------

_make = BatchHeader._make
_unpack = _HEADER.unpack_from


def read_header(buf: Buffer, pos: int = 0) -> BatchHeader:
    """The header at ``pos``, unchecked. Raises ``CorruptBatchError`` if the buffer ends before the header."""
    try:
        return _make(_unpack(buf, pos))
    except struct.error as error:
        raise CorruptBatchError(
            f"a batch header has {HEADER_SIZE} bytes, {len(buf) - pos} are left"
        ) from error


def check_batch(buf: Buffer, pos: int = 0) -> BatchHeader:
    """The header of a batch that is whole, of format v2, and has the right checksum.

    Raises ``CorruptBatchError``.
    """
    header = read_header(buf, pos)
    length = header.batch_length
    end = pos + length + _LENGTH_PREFIX
    if header.magic != 2:
        raise CorruptBatchError(f"record format v{header.magic} is not supported, only v2")
    if length < HEADER_SIZE - _LENGTH_PREFIX or end > len(buf):
        raise CorruptBatchError(f"a batch claims {length} bytes, {len(buf) - pos - _LENGTH_PREFIX} are there")
    view = buf if type(buf) is memoryview else memoryview(buf)
    if crc32c(view[pos + _ATTRIBUTES_AT : end]) != header.crc:
        raise CorruptBatchError("a batch's checksum is wrong")
    return header


def iter_batches(buf: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of every batch. Raises ``CorruptBatchError`` at one that is not whole; no checksums."""
    pos, end = 0, len(buf)
    while pos < end:
        header = read_header(buf, pos)
        following = pos + header.batch_length + _LENGTH_PREFIX
        if header.batch_length < HEADER_SIZE - _LENGTH_PREFIX or following > end:
            raise CorruptBatchError(f"a batch claims {header.size} bytes, {end - pos} are there")
        yield pos, header
        pos = following


def restamp(buf: bytearray | memoryview, pos: int, base_offset: int, leader_epoch: int) -> None:
    """Set base offset and leader epoch in place; the checksum does not cover them."""
    _OFFSET.pack_into(buf, pos, base_offset)
    _EPOCH.pack_into(buf, pos + _EPOCH_AT, leader_epoch)


def set_append_time(buf: bytearray | memoryview, pos: int, now_ms: int) -> None:
    """Give all records of a batch the time of the append (``LogAppendTime``); computes the checksum again."""
    header = read_header(buf, pos)
    _ATTRIBUTES.pack_into(buf, pos + _ATTRIBUTES_AT, header.attributes | _APPEND_TIME)
    _OFFSET.pack_into(buf, pos + _MAX_TIMESTAMP_AT, now_ms)
    _CRC.pack_into(
        buf, pos + _CRC_AT, crc32c(memoryview(buf)[pos + _ATTRIBUTES_AT : pos + header.batch_length + 12])
    )


# --- records ------------------------------------------------------------------------------------------------


def iter_records(buf: Buffer, pos: int = 0, *, limit: int = DEFAULT_LIMIT) -> Iterator[Record]:
    """The records of the batch at ``pos``, decompressed to at most ``limit`` bytes.

    Raises ``WireError`` where they are malformed; the checksum is ``check_batch``'s business.
    """
    header = read_header(buf, pos)
    end = pos + header.batch_length + _LENGTH_PREFIX
    if end > len(buf):
        raise CorruptBatchError("a batch is cut short")
    data = decompress(header.compression, memoryview(buf)[pos + HEADER_SIZE : end], limit)
    append_time = header.max_timestamp if header.attributes & _APPEND_TIME else None
    at = 0
    for _ in range(header.record_count):
        try:
            record, at = _read_record(data, at, header, append_time)
        except (IndexError, UnicodeDecodeError) as error:
            raise CorruptBatchError(f"a record is malformed: {error}") from error
        yield record
    if at != len(data):
        raise CorruptBatchError(f"{len(data) - at} bytes follow a batch's last record")


def check_framing(buf: Buffer, pos: int, header: BatchHeader, at_most: int) -> None:
    """Whether the batch at ``pos``, not compressed, can hold the records that its header claims.

    The lengths of ``at_most`` records are followed; those that are as long as the two before them cost next to
    nothing, and do not count. If that is all of them, they must fill the batch; if not, what is left must have room for
    the others. Raises ``CorruptBatchError``.
    """
    end = pos + header.batch_length + _LENGTH_PREFIX
    _follow(buf, pos + HEADER_SIZE, end, header.record_count, at_most)


def check_compressed(buf: Buffer, pos: int, header: BatchHeader, limit: int) -> None:
    """Whether the compressed batch at ``pos`` holds the records that its header claims, unless they have more than
    ``limit`` bytes: then nothing is said.

    Raises ``CorruptBatchError``, and ``WireError`` for what cannot be decompressed.
    """
    end = pos + header.batch_length + _LENGTH_PREFIX
    try:
        data = decompress(header.compression, memoryview(buf)[pos + HEADER_SIZE : end], limit)
    except LargerThanLimitError:
        return
    _follow(data, 0, len(data), header.record_count, header.record_count)
    try:
        _read_record(data, 0, header, None)
    except (IndexError, UnicodeDecodeError) as error:
        raise CorruptBatchError(f"a record is malformed: {error}") from error


def _follow(data: Buffer, at: int, end: int, count: int, at_most: int) -> None:
    left, before = count, 0
    try:
        while left and at_most:
            start = at
            byte = data[at]
            at += 1
            length = byte & 0x7F
            if byte >= 0x80:
                byte = data[at]
                at += 1
                length |= (byte & 0x7F) << 7
                shift = 14
                while byte >= 0x80:
                    byte = data[at]
                    at += 1
                    length |= (byte & 0x7F) << shift
                    shift += 7
            # Zigzag: an even number is twice the length.
            if length & 1 or length < 2 * (_SMALLEST_RECORD - 1):
                raise CorruptBatchError("a record's length is wrong")
            at += length >> 1
            if at > end:
                raise CorruptBatchError("a record is longer than its batch")
            left -= 1
            at_most -= 1
            if length == before and left >= _RUN and at - start <= _RUN_STEP:
                passed = _count_alike(data, start, at - start, min(left, (end - at) // (at - start)))
                at += passed * (at - start)
                left -= passed
            before = length
    except IndexError as error:
        raise CorruptBatchError("a batch has fewer records than it claims") from error
    if not left:
        if at != end:
            raise CorruptBatchError(f"{end - at} bytes follow a batch's last record")
    elif end - at < left * _SMALLEST_RECORD:
        raise CorruptBatchError(f"{left} records do not fit into {end - at} bytes")


def _count_alike(data: Buffer, start: int, step: int, count: int) -> int:
    """How many of the ``count`` records after the one at ``start`` say the same length as it.

    They lie ``step`` bytes apart, so that their lengths are columns of the batch: a slice finds them a hundred times as
    fast as a loop. It is taken of a copy, since slices of a ``memoryview`` with a step are slow.
    """
    first = data[start]
    if count < _RUN or data[start + _RUN * step] != first:
        return 0
    lengths = (first,) if first < 0x80 else (first, data[start + 1])
    passed, chunk = 0, _SMALL_CHUNK
    while passed < count:
        at = start + (passed + 1) * step
        wanted = min(count - passed, chunk // step)
        piece = bytes(data[at : at + wanted * step])
        for column, value in enumerate(lengths):
            seen = piece[column : wanted * step : step]
            found = wanted - len(seen.lstrip(bytes((value,))))
            wanted = min(wanted, found)
        passed += wanted
        if wanted * step != len(piece):
            break
        chunk = min(4 * chunk, _LARGE_CHUNK)
    return passed


def _read_record(
    data: bytes | memoryview, at: int, header: BatchHeader, append_time: int | None
) -> tuple[Record, int]:
    length, at = read_varint(data, at)
    end = at + length
    if length < 0 or end > len(data):
        raise CorruptBatchError("a record is longer than its batch")
    timestamp_delta, at = read_varint(data, at + 1)  # one byte of attributes, unused
    offset_delta, at = read_varint(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = read_varint(data, at)
    headers: list[tuple[str, bytes | None]] = []
    if count:
        if not 0 < count <= end - at:
            raise CorruptBatchError(f"a record claims {count} headers")
        for _ in range(count):
            name, at = _bytes(data, at)
            if name is None:
                raise CorruptBatchError("a record header has no name")
            header_value, at = _bytes(data, at)
            headers.append((name.decode(), header_value))
    if at != end:
        raise CorruptBatchError("a record's length is wrong")
    timestamp = header.base_timestamp + timestamp_delta if append_time is None else append_time
    return Record(header.base_offset + offset_delta, timestamp, key, value, headers), at


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The zigzag number at ``at``, and what follows it. Raises ``IndexError`` at the end of ``data``."""
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    number, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + 1
        shift += 7
        if shift > 63:
            raise CorruptBatchError("a number has more than 10 bytes")


def _bytes(data: bytes | memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = read_varint(data, at)
    if length < 0:
        return None, at
    end = at + length
    if end > len(data):
        raise CorruptBatchError("a field is longer than its record")
    return bytes(data[at:end]), end


# --- building -----------------------------------------------------------------------------------------------

Entry = tuple[bytes | None, bytes | None, int, Headers]


def build_batch(
    records: Iterable[Entry | Record],
    *,
    base_offset: int = 0,
    compression: str = "none",
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
    leader_epoch: int = 0,
) -> bytearray:
    """A batch of ``(key, value, timestamp, headers)`` or of ``Record``, whose offsets are kept.

    The checksum is set; at least one record is needed.
    """
    out = bytearray(HEADER_SIZE)
    count = base_timestamp = max_timestamp = last_delta = 0
    for each in records:
        if each.__class__ is Record:
            offset, timestamp, key, value, headers = each
            last_delta = offset - base_offset
        else:
            key, value, timestamp, headers = each  # type: ignore[misc]
            last_delta = count
        if not count:
            base_timestamp = max_timestamp = timestamp
        elif timestamp > max_timestamp:
            max_timestamp = timestamp
        _write_record(out, last_delta, timestamp - base_timestamp, key, value, headers)
        count += 1
    assert count, "a batch has at least one record"
    attributes = CODEC_IDS[compression] | _TRANSACTIONAL * transactional | _CONTROL * control
    if compression != "none":
        out[HEADER_SIZE:] = compress(compression, out[HEADER_SIZE:])
    _HEADER.pack_into(
        out,
        0,
        base_offset,
        len(out) - _LENGTH_PREFIX,
        leader_epoch,
        2,
        0,
        attributes,
        last_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )
    with memoryview(out) as view:
        _CRC.pack_into(out, _CRC_AT, crc32c(view[_ATTRIBUTES_AT:]))
    return out


def one_record_batch(key: bytes | None, value: bytes | None, timestamp: int) -> bytearray:
    """What ``build_batch`` makes of one record without headers, in half the time: the groups' log is made of these."""
    record = bytearray(3)  # attributes, and two deltas of 0
    _write_bytes(record, key)
    _write_bytes(record, value)
    record.append(0)
    out = bytearray(_ONE_RECORD_HEAD)
    write_varint(out, len(record))
    out += record
    _LENGTH.pack_into(out, _LENGTH_AT, len(out) - _LENGTH_PREFIX)
    _TIMES.pack_into(out, _BASE_TIMESTAMP_AT, timestamp, timestamp)
    with memoryview(out) as view:
        _CRC.pack_into(out, _CRC_AT, crc32c(view[_ATTRIBUTES_AT:]))
    return out


def _write_record(
    out: bytearray,
    offset_delta: int,
    timestamp_delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
) -> None:
    record = bytearray(1)
    if 0 <= timestamp_delta < _ONE_BYTE and 0 <= offset_delta < _ONE_BYTE:
        record.append(timestamp_delta << 1)
        record.append(offset_delta << 1)
    else:
        write_varint(record, timestamp_delta)
        write_varint(record, offset_delta)
    _write_bytes(record, key)
    _write_bytes(record, value)
    if headers:
        write_varint(record, len(headers))
        for name, header_value in headers:
            _write_bytes(record, name.encode())
            _write_bytes(record, header_value)
    else:
        record.append(0)
    write_varint(out, len(record))
    out += record


def write_varint(out: bytearray, number: int) -> None:
    """Append a zigzag number."""
    number = (number << 1) ^ (number >> 63)
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _write_bytes(out: bytearray, data: bytes | None) -> None:
    if data is None:
        out.append(1)  # -1
        return
    length = len(data)
    if length < _ONE_BYTE:
        out.append(length << 1)
    else:
        write_varint(out, length)
    out += data


# --- transaction markers ------------------------------------------------------------------------------------


def end_marker(
    *,
    committed: bool,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
    timestamp: int,
) -> bytearray:
    """The control batch that commits or aborts a producer's transaction (KIP-98)."""
    key = _MARKER_KEY.pack(0, 1 if committed else 0)
    value = _MARKER_VALUE.pack(0, coordinator_epoch)
    return build_batch(
        [(key, value, timestamp, ())],
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
    )


def read_end_marker(buf: Buffer, pos: int = 0) -> EndMarker | None:
    """The marker in the control batch at ``pos``; None for control records of another kind."""
    record = next(iter_records(buf, pos), None)
    if record is None or record.key is None or len(record.key) < _MARKER_KEY.size:
        return None
    _, kind = _MARKER_KEY.unpack_from(record.key)
    if kind not in {0, 1} or record.value is None or len(record.value) < _MARKER_VALUE.size:
        return None
    _, coordinator_epoch = _MARKER_VALUE.unpack_from(record.value)
    return EndMarker(kind == 1, coordinator_epoch)
