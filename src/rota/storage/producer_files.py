"""The files that remember producers, in Kafka's formats: ``.snapshot`` (version 1) and ``.txnindex``.

A snapshot is named after the offset up to which it is true. It holds of each producer the last batch only: after a
restart, only that one is recognised when it is sent again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rota.storage.files import replace_file
from rota.storage.producers import AbortedTransaction, BatchMetadata, ProducerState, sequence_after
from rota.wire.crc import crc32c

__all__ = [
    "decode_snapshot",
    "encode_snapshot",
    "read_aborted",
    "read_snapshot",
    "write_aborted",
    "write_snapshot",
]

_VERSION: Final = 1
_SNAPSHOT_HEADER = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
# Producer id and epoch, last sequence, last offset, offset delta, timestamp, coordinator epoch, first offset of the
# transaction.
_PRODUCER = struct.Struct(">qhiqiqiq")
_ABORTED = struct.Struct(">hqqqq")


def encode_snapshot(states: Iterable[ProducerState]) -> bytes:
    """The bytes of a ``.snapshot`` file."""
    entries = [_encode(state) for state in states]
    body = _COUNT.pack(len(entries)) + b"".join(entries)
    return _SNAPSHOT_HEADER.pack(_VERSION, crc32c(body)) + body


def _encode(state: ProducerState) -> bytes:
    last = state.batches[-1] if state.batches else None
    return _PRODUCER.pack(
        state.producer_id,
        state.producer_epoch,
        last.last_sequence if last else -1,
        last.last_offset if last else -1,
        last.last_offset - last.base_offset if last else 0,
        state.last_timestamp,
        state.coordinator_epoch,
        state.current_txn_start_offset,
    )


def decode_snapshot(data: bytes) -> list[ProducerState] | None:
    """The producers in a ``.snapshot`` file; None if it is damaged."""
    start = _SNAPSHOT_HEADER.size + _COUNT.size
    if len(data) < start:
        return None
    version, crc = _SNAPSHOT_HEADER.unpack_from(data)
    (count,) = _COUNT.unpack_from(data, _SNAPSHOT_HEADER.size)
    if version != _VERSION or crc32c(data[_SNAPSHOT_HEADER.size :]) != crc or count < 0:
        return None
    if len(data) != start + count * _PRODUCER.size:
        return None
    return [_decode(entry) for entry in _PRODUCER.iter_unpack(data[start:])]


def _decode(entry: tuple[int, ...]) -> ProducerState:
    producer_id, epoch, last_sequence, last_offset, delta, timestamp, coordinator_epoch, first_offset = entry
    batches = []
    if last_sequence >= 0:
        base_sequence = sequence_after(last_sequence, -delta)
        batches.append(
            BatchMetadata(base_sequence, last_sequence, last_offset - delta, last_offset, timestamp)
        )
    return ProducerState(
        producer_id,
        epoch,
        last_timestamp=timestamp,
        coordinator_epoch=coordinator_epoch,
        current_txn_start_offset=first_offset,
        batches=batches,
    )


def write_snapshot(path: Path, states: Iterable[ProducerState]) -> None:
    """Replace a snapshot."""
    replace_file(path, encode_snapshot(states), sync=False)


def read_snapshot(path: Path) -> list[ProducerState] | None:
    """The producers in a snapshot; None if it is damaged."""
    return decode_snapshot(path.read_bytes())


def write_aborted(path: Path, transactions: Iterable[AbortedTransaction]) -> None:
    """Replace a ``.txnindex`` file."""
    replace_file(path, b"".join(_ABORTED.pack(0, *each) for each in transactions))


def read_aborted(path: Path) -> Sequence[AbortedTransaction]:
    """The entries of a ``.txnindex`` file, up to one that is cut short; none if there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = len(data) - len(data) % _ABORTED.size
    return [AbortedTransaction(*entry[1:]) for entry in _ABORTED.iter_unpack(data[:whole])]
