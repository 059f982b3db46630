"""The records' lengths in a batch that is not compressed are followed when it is written, many alike at once."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.model import ErrorCode, KafkaError
from rota.storage import LogConfig
from rota.storage.checks import check_batches
from rota.wire.crc import crc32c
from rota.wire.records import (
    HEADER_SIZE,
    CorruptBatchError,
    build_batch,
    check_framing,
    read_header,
    read_varint,
)

_ALL = 10**9


def _batch(sizes: list[int]) -> bytearray:
    return build_batch([(None, bytes(size), 1_000, []) for size in sizes])


def _starts(batch: bytearray) -> list[int]:
    """Where each record begins."""
    starts, at = [], HEADER_SIZE
    while at < len(batch):
        starts.append(at)
        length, at = read_varint(memoryview(batch), at)
        at += length
    return starts


def _refused(batch: bytearray) -> ErrorCode | None:
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    try:
        check_batches(memoryview(batch), LogConfig(max_message_bytes=10**7), 1_000, from_client=True)
    except KafkaError as error:
        return error.code
    return None


def _destroy(batch: bytearray, number: int) -> ErrorCode | None:
    starts = [*_starts(batch), len(batch)]
    batch[starts[number] : starts[number + 1]] = b"\xff" * (starts[number + 1] - starts[number])
    return _refused(batch)


@pytest.mark.parametrize("number", [0, 1, 2, 49, 50, 63, 64, 65, 98, 99])
@pytest.mark.parametrize("sizes", [[90] * 100, [random.Random(n).randrange(60, 120) for n in range(100)]])
def test_a_record_is_destroyed_in_a_batch_of_ten_kilobytes(sizes: list[int], number: int) -> None:
    batch = _batch(sizes)
    assert len(batch) > 9_000
    assert _refused(batch) is None
    assert _destroy(batch, number) == ErrorCode.INVALID_RECORD


@pytest.mark.parametrize("number", [5_000, 8_192, 9_999])
def test_a_record_is_destroyed_among_thousands_of_the_same_length(number: int) -> None:
    batch = _batch([90] * 10_000)
    assert _refused(batch) is None
    assert _destroy(batch, number) == ErrorCode.INVALID_RECORD


def test_a_record_is_destroyed_among_a_megabyte_of_large_ones() -> None:
    chance = random.Random(1)
    batch = _batch([chance.randrange(900, 1_300) for _ in range(1_000)])
    assert _refused(batch) is None
    assert _destroy(batch, 999) == ErrorCode.INVALID_RECORD


@given(
    runs=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 80)), min_size=1, max_size=6),
    chance=st.randoms(use_true_random=False),
)
def test_many_alike_at_once_are_what_one_by_one_finds(
    runs: list[tuple[int, int]], chance: random.Random
) -> None:
    """A byte is changed anywhere: both ways agree whether the lengths still lead to the batch's end."""
    batch = _batch([size for size, count in runs for _ in range(count)])
    _check(batch)
    place = chance.choice(_starts(batch)) + chance.randrange(3)
    batch[min(place, len(batch) - 1)] = chance.randrange(256)
    if _leads_to_the_end(batch):
        _check(batch)
    else:
        with pytest.raises(CorruptBatchError):
            _check(batch)


def _check(batch: bytearray) -> None:
    with memoryview(batch) as view:
        check_framing(view, 0, read_header(batch), _ALL)


def _leads_to_the_end(batch: bytearray) -> bool:
    at = HEADER_SIZE
    for _ in range(read_header(batch).record_count):
        if at >= len(batch):
            return False
        length, at = read_varint(memoryview(batch), at)
        at += length
        if length < 6 or at > len(batch):
            return False
    return at == len(batch)
