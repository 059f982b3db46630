"""What a producer may write next, transition by transition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.model import ErrorCode, KafkaError
from rota.storage.producer_files import decode_snapshot, encode_snapshot
from rota.storage.producers import (
    AbortedTransaction,
    BatchMetadata,
    Producers,
    ProducerState,
    sequence_after,
)
from rota.wire.records import BatchHeader, EndMarker, build_batch, read_header

MAX = 2**31 - 1


def header(
    sequence: int,
    *,
    epoch: int = 0,
    count: int = 1,
    producer: int = 7,
    transactional: bool = False,
    at: int = 1,
) -> BatchHeader:
    return read_header(
        build_batch(
            [(b"k", b"v", at, ())] * count,
            producer_id=producer,
            producer_epoch=epoch,
            base_sequence=sequence,
            transactional=transactional,
        )
    )


def append(producers: Producers, offset: int, *args: int, **kwargs: int) -> None:
    batch = header(*args, **kwargs)  # type: ignore[arg-type]
    assert producers.check(batch) is None
    producers.appended(batch, offset)


def refuse(producers: Producers, batch: BatchHeader) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        producers.check(batch)
    return caught.value.code


def test_unknown_producer_may_begin_anywhere() -> None:
    assert Producers().check(header(1_234)) is None


def test_next_sequence_is_accepted() -> None:
    producers = Producers()
    append(producers, 0, 0, count=3)
    append(producers, 3, 3)
    assert producers.by_id[7].last_sequence == 3
    assert producers.by_id[7].last_offset == 3


def test_gap_is_out_of_order() -> None:
    producers = Producers()
    append(producers, 0, 0)
    assert refuse(producers, header(2)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_repeated_batch_gets_its_first_offset() -> None:
    producers = Producers()
    append(producers, 10, 0, count=3)
    append(producers, 13, 3)
    assert producers.check(header(0, count=3)) == BatchMetadata(0, 2, 10, 12, 1)


def test_part_of_a_batch_is_no_repetition() -> None:
    producers = Producers()
    append(producers, 10, 0, count=3)
    assert refuse(producers, header(0, count=2)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sixth_last_batch_is_forgotten() -> None:
    producers = Producers()
    for number in range(6):
        append(producers, number, number)
    repeated = producers.check(header(1))
    assert repeated is not None
    assert repeated.base_offset == 1
    assert refuse(producers, header(0)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sequence_wraps_after_the_largest_int32() -> None:
    producers = Producers()
    append(producers, 0, MAX - 1, count=2)
    assert producers.by_id[7].last_sequence == MAX
    append(producers, 2, 0)


def test_batch_that_wraps_inside_is_recognised_again() -> None:
    producers = Producers()
    append(producers, 0, MAX, count=3)
    assert producers.by_id[7].last_sequence == 1
    repeated = producers.check(header(MAX, count=3))
    assert repeated is not None
    append(producers, 3, 2)


def test_new_epoch_begins_at_zero() -> None:
    producers = Producers()
    append(producers, 0, 0, count=5)
    assert refuse(producers, header(5, epoch=1)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    append(producers, 5, 0, epoch=1)
    assert producers.by_id[7].producer_epoch == 1


def test_old_epoch_is_fenced() -> None:
    producers = Producers()
    append(producers, 0, 0, epoch=3)
    assert refuse(producers, header(1, epoch=2)) == ErrorCode.INVALID_PRODUCER_EPOCH


def test_repetition_from_an_old_epoch_is_fenced() -> None:
    producers = Producers()
    append(producers, 0, 0, epoch=0)
    append(producers, 1, 0, epoch=1)
    assert refuse(producers, header(0, epoch=0)) == ErrorCode.INVALID_PRODUCER_EPOCH


def test_transaction_holds_back_what_is_stable() -> None:
    producers = Producers()
    append(producers, 10, 0, transactional=True)
    append(producers, 11, 0, producer=8, transactional=True)
    assert producers.first_unstable_offset == 10
    assert producers.ended(header(-1), 12, EndMarker(True, 0)) is None
    assert producers.first_unstable_offset == 11


def test_aborted_transaction_is_told_with_what_was_stable() -> None:
    producers = Producers()
    append(producers, 10, 0, transactional=True)
    append(producers, 11, 0, producer=8, transactional=True)
    assert producers.ended(header(-1, producer=8), 12, EndMarker(False, 0)) == AbortedTransaction(
        8, 11, 12, 10
    )
    assert producers.ended(header(-1), 13, EndMarker(False, 0)) == AbortedTransaction(7, 10, 13, 14)
    assert producers.first_unstable_offset is None


def test_marker_without_records_aborts_nothing() -> None:
    assert Producers().ended(header(-1), 0, EndMarker(False, 0)) is None


def test_batch_outside_the_open_transaction_is_refused() -> None:
    producers = Producers()
    append(producers, 0, 0, transactional=True)
    assert refuse(producers, header(1)) == ErrorCode.INVALID_TXN_STATE


def test_marker_with_a_newer_epoch_begins_it() -> None:
    producers = Producers()
    append(producers, 0, 0, transactional=True)
    producers.ended(header(-1, epoch=1), 1, EndMarker(False, 0))
    assert refuse(producers, header(1, epoch=0)) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert refuse(producers, header(1, epoch=1)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    append(producers, 2, 0, epoch=1)


def test_marker_of_an_old_coordinator_is_fenced() -> None:
    producers = Producers()
    append(producers, 0, 0)
    producers.ended(header(-1), 1, EndMarker(True, 5))
    with pytest.raises(KafkaError) as caught:
        producers.check_marker(header(-1), EndMarker(True, 4))
    assert caught.value.code == ErrorCode.TRANSACTION_COORDINATOR_FENCED
    producers.check_marker(header(-1), EndMarker(True, 5))


def test_silent_producer_expires_unless_in_a_transaction() -> None:
    producers = Producers()
    append(producers, 0, 0, at=1_000)
    append(producers, 1, 0, producer=8, transactional=True, at=1_000)
    producers.expire(1_999, 1_000)
    assert set(producers.by_id) == {7, 8}
    producers.expire(2_000, 1_000)
    assert set(producers.by_id) == {8}


@given(sequence=st.integers(0, MAX), count=st.integers(0, 10_000))
def test_sequence_arithmetic_goes_both_ways(sequence: int, count: int) -> None:
    later = sequence_after(sequence, count)
    assert 0 <= later <= MAX
    assert sequence_after(later, -count) == sequence


def test_snapshot_keeps_the_last_batch() -> None:
    state = ProducerState(
        9,
        2,
        last_timestamp=50,
        coordinator_epoch=4,
        current_txn_start_offset=88,
        batches=[BatchMetadata(0, 1, 80, 81, 40), BatchMetadata(2, 5, 88, 91, 50)],
    )
    idle = ProducerState(10, 0, last_timestamp=60)
    restored = decode_snapshot(encode_snapshot([state, idle]))
    assert restored is not None
    assert list(restored[0].batches) == [BatchMetadata(2, 5, 88, 91, 50)]
    assert (restored[0].producer_epoch, restored[0].coordinator_epoch) == (2, 4)
    assert restored[0].current_txn_start_offset == 88
    assert restored[1].last_sequence == -1
    producers = Producers()
    producers.restore(restored)
    assert producers.first_unstable_offset == 88


@given(cut=st.integers(0, 60), flip=st.integers(0, 10**6))
def test_damaged_snapshot_is_not_used(cut: int, flip: int) -> None:
    data = encode_snapshot([ProducerState(9, 2)])
    if cut < len(data):
        assert decode_snapshot(data[:cut]) is None
    damaged = bytearray(data)
    damaged[flip % len(data)] ^= 1
    assert decode_snapshot(bytes(damaged)) is None
