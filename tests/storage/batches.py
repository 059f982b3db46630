"""Batches for the storage tests."""

from __future__ import annotations

from rota.storage import Log, LogConfig
from rota.wire.records import Record, build_batch, check_batch, iter_batches, iter_records

SMALL = LogConfig(segment_bytes=600, index_interval_bytes=100, message_timestamp_after_max_ms=2**62)


def batch(
    *values: bytes,
    at: int = 1_000,
    compression: str = "none",
    producer: tuple[int, int, int] = (-1, -1, -1),
    transactional: bool = False,
) -> bytearray:
    """One batch; ``producer`` is id, epoch and first sequence number."""
    return build_batch(
        [(b"key", value, at + number, ()) for number, value in enumerate(values)],
        compression=compression,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        transactional=transactional,
    )


def read_all(log: Log, *, max_bytes: int = 1_000_000, start: int | None = None) -> list[Record]:
    """Every record, fetched as a consumer does; checks every checksum."""
    records: list[Record] = []
    offset = log.log_start_offset if start is None else start
    while offset < log.log_end_offset:
        piece = log.read(offset, max_bytes)
        data = b"".join(bytes(chunk) for chunk in piece.chunks)
        assert len(data) == piece.size > 0
        for position, header in iter_batches(data):
            check_batch(data, position)
            records += [each for each in iter_records(data, position) if each.offset >= offset]
            offset = header.next_offset
    return records


def values(log: Log) -> list[bytes | None]:
    """The values of every record."""
    return [record.value for record in read_all(log)]
