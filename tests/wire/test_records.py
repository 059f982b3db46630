"""Record batches: built, read, checked, restamped; compared with kafka-python's reader and writer."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import (  # type: ignore[import-untyped]
    DefaultRecordBatch,
    DefaultRecordBatchBuilder,
)

from rota.wire import WireError
from rota.wire.compression import CODEC_IDS, CODECS
from rota.wire.crc import crc32c
from rota.wire.records import (
    HEADER_SIZE,
    CorruptBatchError,
    EndMarker,
    Record,
    build_batch,
    check_batch,
    end_marker,
    iter_batches,
    iter_records,
    one_record_batch,
    read_end_marker,
    read_header,
    restamp,
    set_append_time,
)

binary = st.none() | st.binary(max_size=60)
headers = st.lists(st.tuples(st.text(max_size=5), binary), max_size=3)
entries = st.lists(st.tuples(binary, binary, st.integers(0, 2**41), headers), min_size=1, max_size=12)


def test_crc32c_of_the_known_example() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(memoryview(bytearray(b"x123456789"))[1:]) == 0xE3069283


@pytest.mark.parametrize("codec", CODECS)
@given(entries=entries, base=st.integers(0, 2**60))
def test_what_is_built_is_read(codec: str, entries: list, base: int) -> None:  # type: ignore[type-arg]
    batch = build_batch(entries, compression=codec, base_offset=base, leader_epoch=3)
    header = check_batch(batch)
    assert header.compression == codec
    assert header.size == len(batch)
    assert header.record_count == len(entries)
    assert header.last_offset == base + len(entries) - 1
    assert header.next_offset == base + len(entries)
    assert header.max_timestamp == max(entry[2] for entry in entries)
    assert list(iter_records(batch)) == [
        Record(base + number, timestamp, key, value, found)
        for number, (key, value, timestamp, found) in enumerate(entries)
    ]


@given(
    key=st.none() | st.binary(max_size=200),
    value=st.none() | st.binary(max_size=20_000),
    at=st.integers(-1, 2**48),
)
def test_a_batch_of_one_record_has_a_short_cut(key: bytes | None, value: bytes | None, at: int) -> None:
    assert one_record_batch(key, value, at) == build_batch([(key, value, at, [])])


@given(entries=entries)
def test_kafka_python_reads_what_we_build(entries: list) -> None:  # type: ignore[type-arg]
    reader = DefaultRecordBatch(bytes(build_batch(entries, base_offset=7, producer_id=5, base_sequence=9)))
    assert reader.validate_crc()
    assert (reader.base_offset, reader.producer_id, reader.base_sequence) == (7, 5, 9)
    assert [(each.offset, each.timestamp, each.key, each.value, list(each.headers)) for each in reader] == [
        (7 + number, timestamp, key, value, list(found))
        for number, (key, value, timestamp, found) in enumerate(entries)
    ]


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_we_read_what_kafka_python_builds(codec: str) -> None:
    builder = DefaultRecordBatchBuilder(2, CODEC_IDS[codec], 1, 42, 3, 17, 100_000)
    for number in range(50):
        builder.append(number, 1_000 + number, b"k", b"value" * 20, [("h", b"1"), ("g", None)])
    data = bytes(builder.build())
    header = check_batch(data)
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (42, 3, 17)
    records = list(iter_records(data))
    assert len(records) == 50
    assert records[9] == Record(9, 1_009, b"k", b"value" * 20, [("h", b"1"), ("g", None)])


def test_restamping_keeps_the_checksum() -> None:
    batch = build_batch([(b"a", b"b", 1, ())] * 3)
    restamp(batch, 0, 1_000_000, 9)
    header = check_batch(batch)
    assert (header.base_offset, header.leader_epoch, header.last_offset) == (1_000_000, 9, 1_000_002)


def test_append_time_replaces_every_timestamp() -> None:
    batch = build_batch([(b"a", b"b", 1, ()), (b"a", b"b", 5, ())])
    assert check_batch(batch).timestamp_type == "CreateTime"
    set_append_time(batch, 0, 777)
    assert check_batch(batch).timestamp_type == "LogAppendTime"
    assert [record.timestamp for record in iter_records(batch)] == [777, 777]


def test_records_that_were_read_keep_their_offsets_when_built_again() -> None:
    kept = [Record(10, 5, b"a", b"1"), Record(14, 6, b"b", None)]
    batch = build_batch(kept, base_offset=10)
    assert [record.offset for record in iter_records(batch)] == [10, 14]
    assert check_batch(batch).last_offset == 14


def test_several_batches_in_a_row() -> None:
    one, two = build_batch([(b"a", b"1", 1, ())]), build_batch([(b"b", b"2", 1, ())] * 2)
    found = list(iter_batches(memoryview(one + two)))
    assert [position for position, _ in found] == [0, len(one)]
    assert [header.record_count for _, header in found] == [1, 2]
    with pytest.raises(CorruptBatchError):
        list(iter_batches(memoryview(one + two)[:-1]))


@given(entries=entries, at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(entries: list, at: int, bit: int) -> None:  # type: ignore[type-arg]
    batch = build_batch(entries)
    # Base offset and leader epoch are the broker's to set, and lie outside the checksum.
    position = 16 + at % (len(batch) - 16)
    batch[position] ^= 1 << bit
    with pytest.raises(CorruptBatchError):
        check_batch(batch)


@given(entries=entries, cut=st.integers(min_value=0))
def test_a_batch_that_ends_early_is_refused(entries: list, cut: int) -> None:  # type: ignore[type-arg]
    batch = build_batch(entries)
    short = memoryview(batch)[: cut % len(batch)]
    with pytest.raises(CorruptBatchError):
        check_batch(short)
    with pytest.raises(CorruptBatchError):
        list(iter_records(short))


@pytest.mark.parametrize("length", [-1, 0, 48, 2**31 - 1, -(2**31)])
def test_a_length_that_cannot_be_is_refused(length: int) -> None:
    batch = build_batch([(b"a", b"1", 1, ())])
    batch[8:12] = length.to_bytes(4, "big", signed=True)
    with pytest.raises(CorruptBatchError):
        check_batch(batch)
    with pytest.raises(CorruptBatchError):
        list(iter_batches(batch))


@given(noise=st.binary(max_size=80), count=st.integers(1, 2**31 - 1))
def test_malformed_records_raise_nothing_but_wire_errors(noise: bytes, count: int) -> None:
    batch = build_batch([(b"a", b"1", 1, ())])[:HEADER_SIZE] + noise
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[57:61] = count.to_bytes(4, "big")
    with contextlib.suppress(WireError):
        list(iter_records(batch))


def test_old_formats_are_refused_by_name() -> None:
    batch = build_batch([(b"a", b"1", 1, ())])
    batch[16] = 1
    with pytest.raises(CorruptBatchError, match="v1 is not supported"):
        check_batch(batch)


@pytest.mark.parametrize("committed", [True, False])
def test_an_end_marker_is_read_back(committed: bool) -> None:
    batch = end_marker(
        committed=committed, producer_id=4, producer_epoch=2, coordinator_epoch=6, timestamp=1_000
    )
    header = check_batch(batch)
    assert header.is_control
    assert header.is_transactional
    assert read_header(batch).producer_id == 4
    assert read_end_marker(batch) == EndMarker(committed, 6)
