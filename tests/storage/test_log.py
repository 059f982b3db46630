"""One log, on disk and in memory: append, read, find by time, drop."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.storage.batches import SMALL, batch, read_all, values

from rota.model import ErrorCode, KafkaError
from rota.storage import FileRegion, Log, LogConfig
from rota.wire.compression import CODECS, compress
from rota.wire.crc import crc32c
from rota.wire.records import build_batch, end_marker, iter_batches, read_header


@pytest.fixture(params=["disk", "memory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "disk" else None


def open_log(where: Path | None, config: LogConfig = SMALL, **kwargs: int | None) -> Log:
    return Log.open(where, config, now_ms=1_000, **kwargs)  # type: ignore[arg-type]


def refused(log: Log, data: bytearray, now_ms: int = 1_000) -> ErrorCode:
    before = (log.log_end_offset, log.size)
    with pytest.raises(KafkaError) as caught:
        log.append(data, now_ms)
    assert (log.log_end_offset, log.size) == before
    return caught.value.code


# --- append and read ----------------------------------------------------------------------------------------


def test_empty_log(where: Path | None) -> None:
    log = open_log(where)
    assert (log.log_start_offset, log.log_end_offset, log.high_watermark, log.last_stable_offset) == (
        0,
        0,
        0,
        0,
    )
    assert log.read(0, 100).size == 0
    assert log.offset_for_timestamp(0) is None
    assert log.max_timestamp() is None
    assert log.epoch_end_offset(0) == (0, 0)


def test_append_stamps_offset_and_epoch(where: Path | None) -> None:
    log = open_log(where)
    log.append(batch(b"0"), 1_000)
    data = batch(b"1", b"2")
    assert log.append(data, 1_000, leader_epoch=4) == (1, 2, -1, 0)
    header = read_header(data)
    assert (header.base_offset, header.leader_epoch) == (1, 4)
    assert [(record.offset, record.value) for record in read_all(log)] == [(0, b"0"), (1, b"1"), (2, b"2")]


def test_several_batches_at_once(where: Path | None) -> None:
    log = open_log(where)
    assert log.append(batch(b"a") + batch(b"b", b"c") + batch(b"d"), 1_000)[:2] == (0, 3)
    assert values(log) == [b"a", b"b", b"c", b"d"]
    assert [record.offset for record in read_all(log, max_bytes=1)] == [0, 1, 2, 3]


def test_read_outside_is_out_of_range(where: Path | None) -> None:
    log = open_log(where)
    log.append(batch(b"a"), 1_000)
    for offset in (-1, 2):
        with pytest.raises(KafkaError) as caught:
            log.read(offset, 10)
        assert caught.value.code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.read(1, 10) == ([], 0, log.log_end_offset)


def test_small_read_gets_one_batch_or_none(where: Path | None) -> None:
    log = open_log(where)
    one = len(batch(b"a"))
    log.append(batch(b"a"), 1_000)
    log.append(batch(b"b"), 1_000)
    assert log.read(0, 1).size == one
    assert log.read(0, 1, min_one_batch=False).size == 0
    assert log.read(0, 2 * one - 1).size == one
    assert log.read(0, 2 * one).size == 2 * one
    assert log.read(0, 2 * one, up_to=1).size == one
    assert log.read(1, 2 * one, up_to=1).size == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 250)), min_size=1, max_size=60),
    limits=st.lists(st.integers(0, 700), min_size=1, max_size=8),
    reopen=st.booleans(),
)
def test_reads_are_what_was_appended(
    where: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    limits: list[int],
    reopen: bool,
) -> None:
    where = tmp_path_factory.mktemp("log") if where else None
    log = open_log(where)
    expected: list[bytes] = []
    starts: list[int] = []  # per offset: the base offset of its batch
    for number, (count, size) in enumerate(sizes):
        new = [bytes([number % 256]) * size for _ in range(count)]
        info = log.append(batch(*new, at=1_000 + number), 1_000 + number)
        assert info.base_offset == len(expected)
        starts += [len(expected)] * count
        expected += new
    if reopen and where:
        log.close()
        log = open_log(where, recover_from=None)
    assert log.log_end_offset == len(expected)
    assert values(log) == expected
    for limit in limits:
        assert [record.value for record in read_all(log, max_bytes=limit)] == expected
    for offset in range(len(expected)):
        for up_to in (None, starts[-1]):
            piece = log.read(offset, limits[0], up_to=up_to)
            data = b"".join(bytes(chunk) for chunk in piece.chunks)
            found = [header for _, header in iter_batches(data)]
            if up_to is None or offset < up_to:
                assert found[0].base_offset == starts[offset]
                assert len(data) <= limits[0] or len(found) == 1
            else:
                assert not found


def test_rolls_by_size_and_reads_on(where: Path | None) -> None:
    log = open_log(where)
    for number in range(30):
        log.append(batch(b"%d" % number), 1_000)
    assert len(log.segments) > 3
    assert all(segment.size <= SMALL.segment_bytes for segment in log.segments)
    assert values(log) == [b"%d" % number for number in range(30)]


def test_batch_larger_than_a_segment_gets_its_own(where: Path | None) -> None:
    log = open_log(where)
    for size in (10, 2_000, 10):
        log.append(batch(bytes(size)), 1_000)
    assert [segment.base_offset for segment in log.segments] == [0, 1, 2]


def test_rolls_by_time(where: Path | None) -> None:
    log = open_log(where, LogConfig(segment_ms=500))
    log.append(batch(b"a", at=1_000), 1_000)
    log.append(batch(b"b", at=1_500), 1_500)
    assert len(log.segments) == 1
    log.append(batch(b"c", at=1_501), 1_501)
    assert len(log.segments) == 2
    log.maybe_roll(2_001)
    assert len(log.segments) == 2
    log.maybe_roll(2_002)
    assert len(log.segments) == 3
    log.maybe_roll(9_999)
    assert len(log.segments) == 3


def test_rolls_when_the_index_is_full(where: Path | None) -> None:
    log = open_log(where, LogConfig(index_interval_bytes=1, segment_index_bytes=36))
    for number in range(12):
        log.append(batch(b"%d" % number), 1_000)
    assert len(log.segments) > 1
    assert len(values(log)) == 12


def test_deleted_segment_stays_readable(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for number in range(30):
        log.append(batch(b"%d" % number), 1_000)
    piece = log.read(0, 400)
    assert isinstance(piece.chunks[0], FileRegion)
    before = bytes(piece.chunks[0])
    log.delete_records(30)
    log.delete()
    assert not list(tmp_path.glob("*.log"))
    assert bytes(piece.chunks[0]) == before
    assert len(before) == piece.size


def test_memory_stays_valid_while_more_is_appended() -> None:
    log = open_log(None)
    log.append(batch(b"first"), 1_000)
    piece = log.read(0, 1_000)
    before = [bytes(chunk) for chunk in piece.chunks]
    for _ in range(200):
        log.append(batch(bytes(100)), 1_000)
    log.delete_records(log.log_end_offset)
    assert [bytes(chunk) for chunk in piece.chunks] == before


def test_full_disk_appends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(tmp_path)
    log.append(batch(b"a"), 1_000)
    real, calls = __import__("os").pwrite, []

    def pwrite(fd: int, data: memoryview, position: int) -> int:
        calls.append(position)
        if len(calls) == 1:
            return int(real(fd, data[:10], position))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", pwrite)
    with pytest.raises(OSError, match="No space"):
        log.append(batch(b"b"), 1_000)
    monkeypatch.undo()
    assert log.log_end_offset == 1
    assert log.append(batch(b"c"), 1_000).base_offset == 1
    log.close()
    assert values(open_log(tmp_path)) == [b"a", b"c"]


def test_iter_batches_from_gives_the_rest(where: Path | None) -> None:
    log = open_log(where)
    for number in range(40):
        log.append(batch(b"%d" % number), 1_000)
    found = [header.base_offset for piece in log.iter_batches_from(17) for _, header in iter_batches(piece)]
    assert found == list(range(17, 40))


# --- what is refused ----------------------------------------------------------------------------------------


def test_corrupt_batch_is_refused(where: Path | None) -> None:
    data = batch(b"a")
    data[-1] ^= 1
    assert refused(open_log(where), data) == ErrorCode.CORRUPT_MESSAGE
    assert refused(open_log(where), batch(b"a") + b"x") == ErrorCode.CORRUPT_MESSAGE


def test_too_large_batch_is_refused(where: Path | None) -> None:
    log = open_log(where, LogConfig(max_message_bytes=200))
    assert refused(log, batch(bytes(300))) == ErrorCode.MESSAGE_TOO_LARGE
    assert refused(log, batch(b"a") + batch(bytes(300))) == ErrorCode.MESSAGE_TOO_LARGE


def test_too_large_batch_of_our_own_is_refused_as_well() -> None:
    log = open_log(None, LogConfig(max_message_bytes=200))
    with pytest.raises(KafkaError) as caught:
        log.append(batch(bytes(200)), 1_000, check=False)
    assert caught.value.code == ErrorCode.MESSAGE_TOO_LARGE
    assert log.append(batch(bytes(100)), 1_000, check=False).base_offset == 0


def test_record_from_the_future_is_refused() -> None:
    log = open_log(None, LogConfig(message_timestamp_after_max_ms=100))
    log.append(batch(b"a", at=1_100), 1_000)
    assert refused(log, batch(b"a", at=1_101)) == ErrorCode.INVALID_TIMESTAMP


def test_record_from_long_ago_is_refused() -> None:
    log = open_log(None, LogConfig(message_timestamp_before_max_ms=100))
    log.append(batch(b"a", at=900), 1_000)
    assert refused(log, batch(b"a", at=899)) == ErrorCode.INVALID_TIMESTAMP


def test_clients_may_not_write_control_records() -> None:
    marker = end_marker(committed=True, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=1)
    assert refused(open_log(None), marker) == ErrorCode.INVALID_RECORD


def test_compacted_topic_needs_keys() -> None:
    log = open_log(None, LogConfig(cleanup_policy=("compact",)))
    assert refused(log, build_batch([(None, b"v", 1_000, ())])) == ErrorCode.INVALID_RECORD
    log.append(batch(b"v"), 1_000)


def test_record_count_has_to_fit() -> None:
    from rota.wire.crc import crc32c

    data = batch(b"a", b"b")
    data[57:61] = (3).to_bytes(4, "big")
    data[17:21] = crc32c(bytes(data[21:])).to_bytes(4, "big")
    assert refused(open_log(None), data) == ErrorCode.INVALID_RECORD


# --- times --------------------------------------------------------------------------------------------------


def test_append_time_is_the_brokers(where: Path | None) -> None:
    log = open_log(where, LogConfig(message_timestamp_type="LogAppendTime"))
    assert log.append(batch(b"a", b"b", at=5), 7_000).log_append_time_ms == 7_000
    assert [record.timestamp for record in read_all(log)] == [7_000, 7_000]
    assert log.offset_for_timestamp(6_000) == (0, 7_000)
    assert log.max_timestamp() == (0, 7_000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=4), min_size=1, max_size=40),
    reopen=st.booleans(),
    start=st.integers(0, 20),
)
def test_finds_by_time_as_a_list_would(
    where: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
    times: list[list[int]],
    reopen: bool,
    start: int,
) -> None:
    where = tmp_path_factory.mktemp("log") if where else None
    log = open_log(where)
    flat: list[int] = []
    for each in times:
        log.append(build_batch([(b"k", b"v", at, ()) for at in each]), 1_000)
        flat += each
    start = min(start, len(flat))
    log.delete_records(start)
    if reopen and where:
        log.close()
        log = open_log(where, recover_from=None, log_start_offset=start)
    pairs = list(enumerate(flat))[start:]
    for wanted in range(62):
        assert log.offset_for_timestamp(wanted) == next((pair for pair in pairs if pair[1] >= wanted), None)
    latest = max(pairs, key=lambda pair: pair[1], default=None)
    found = log.max_timestamp()
    if start == 0:
        assert found == latest
    else:
        # Like Kafka, what is known of a segment includes what DeleteRecords took from its head.
        assert (found is None) == (latest is None)


# --- dropping -----------------------------------------------------------------------------------------------


def test_delete_records_moves_the_start_inside_a_segment(where: Path | None) -> None:
    log = open_log(where)
    for number in range(30):
        log.append(batch(b"%d" % number), 1_000)
    assert log.delete_records(17) == 17
    assert log.log_start_offset == 17
    assert log.bases[0] <= 17 < log.bases[1]
    assert [record.offset for record in read_all(log)] == list(range(17, 30))
    assert log.delete_records(3) == 17
    with pytest.raises(KafkaError):
        log.delete_records(31)
    assert log.delete_records(30) == 30
    assert log.append(batch(b"next"), 1_000).base_offset == 30


def test_start_survives_when_every_record_is_gone(tmp_path: Path) -> None:
    log = open_log(tmp_path, LogConfig(retention_ms=10))
    for number in range(5):
        log.append(batch(b"%d" % number), 1_000)
    assert log.apply_retention(5_000) == 1
    assert (log.log_start_offset, log.log_end_offset, log.size) == (5, 5, 0)
    for recover_from in (None, 0):
        again = open_log(tmp_path, recover_from=recover_from)
        assert (again.log_start_offset, again.log_end_offset) == (5, 5)


def test_retention_by_time_drops_whole_old_segments(where: Path | None) -> None:
    log = open_log(where, LogConfig(segment_bytes=200, retention_ms=1_000))
    for number in range(10):
        log.append(batch(b"x", at=1_000 + 100 * number), 1_000 + 100 * number)
    assert log.apply_retention(2_000) == 0
    removed = log.apply_retention(2_350)
    assert removed > 0
    assert all(segment.max_timestamp >= 1_350 for segment in log.segments)
    assert log.log_start_offset == log.bases[0]


def test_retention_by_size_keeps_at_least_that_much(where: Path | None) -> None:
    log = open_log(where, LogConfig(segment_bytes=200, retention_bytes=500, retention_ms=-1))
    for _ in range(20):
        log.append(batch(b"x"), 1_000)
    assert log.apply_retention(10**15) > 0
    assert 500 <= log.size < 500 + 200
    assert log.apply_retention(10**15) == 0


def test_compacted_topic_drops_nothing_by_age() -> None:
    log = open_log(None, LogConfig(segment_bytes=200, retention_ms=1, cleanup_policy=("compact",)))
    for _ in range(5):
        log.append(batch(b"x"), 1_000)
    assert log.apply_retention(10**15) == 0


# --- epochs, producers, transactions ------------------------------------------------------------------------


def test_epochs_end_where_the_next_begins(where: Path | None) -> None:
    log = open_log(where)
    for epoch in (0, 0, 2, 5, 5):
        log.append(batch(b"x"), 1_000, leader_epoch=epoch)
    if where:
        log.close()
        log = open_log(where, recover_from=None)
    assert [log.epoch_end_offset(epoch) for epoch in (-1, 0, 1, 2, 4, 5, 6)] == [
        (-1, -1),
        (0, 2),
        (0, 2),
        (2, 3),
        (2, 3),
        (5, 5),
        (-1, -1),
    ]


@pytest.mark.parametrize("how", ["running", "closed", "crashed"])
def test_repeated_batch_is_appended_once(where: Path | None, how: str) -> None:
    log = open_log(where)
    for number in range(12):
        log.append(batch(b"%d" % number, producer=(5, 0, number)), 1_000)
    if where and how != "running":
        if how == "closed":
            log.close()
        log = open_log(where, recover_from=None if how == "closed" else 0)
    assert log.append(batch(b"11", producer=(5, 0, 11)), 1_000)[:2] == (11, 11)
    assert log.log_end_offset == 12
    assert refused(log, batch(b"x", producer=(5, 0, 13))) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert log.append(batch(b"12", producer=(5, 0, 12)), 1_000).base_offset == 12


@pytest.mark.parametrize("how", ["running", "closed", "crashed"])
def test_aborted_transactions_are_told(where: Path | None, how: str) -> None:
    log = open_log(where)
    sequence = {5: 0, 6: 0}

    def write(producer: int, *, transactional: bool = True) -> None:
        log.append(
            batch(b"x", producer=(producer, 0, sequence[producer]), transactional=transactional),
            1_000,
            check=False,
        )
        sequence[producer] += 1

    def end(producer: int, *, committed: bool) -> None:
        log.append(
            end_marker(
                committed=committed,
                producer_id=producer,
                producer_epoch=0,
                coordinator_epoch=0,
                timestamp=1_000,
            ),
            1_000,
            check=False,
        )

    write(5)  # 0
    write(6)  # 1
    assert log.last_stable_offset == 0
    end(5, committed=False)  # 2
    assert log.last_stable_offset == 1
    for _ in range(20):
        log.append(batch(b"between"), 1_000)  # 3 … 22
    end(6, committed=False)  # 23
    write(5)  # 24
    end(5, committed=True)  # 25
    write(6)  # 26, never ended
    if where and how != "running":
        if how == "closed":
            log.close()
        log = open_log(where, recover_from=None if how == "closed" else 0)
    assert log.last_stable_offset == 26
    assert log.aborted_transactions(0, 26) == [(5, 0), (6, 1)]
    assert log.aborted_transactions(3, 26) == [(6, 1)]
    assert log.aborted_transactions(0, 1) == [(5, 0)]
    assert log.aborted_transactions(24, 26) == []
    assert {producer.producer_id for producer in log.active_producers()} == {5, 6}
    assert log.read(0, 10**6, up_to=log.last_stable_offset).size > 0


def test_start_past_an_open_transaction_is_stable(where: Path | None) -> None:
    log = open_log(where)
    log.append(batch(b"x", producer=(5, 0, 0), transactional=True), 1_000, check=False)
    log.append(batch(b"x"), 1_000)
    log.delete_records(2)
    assert log.last_stable_offset == 2


def test_a_transaction_begins_with_its_first_batch_and_ends_with_the_marker() -> None:
    log = open_log(None)
    log.append(batch(b"x", producer=(5, 0, 0), transactional=True), 1_000)
    assert (log.last_stable_offset, log.has_open_transaction(5, 0), log.has_open_transaction(5, 1)) == (
        0,
        True,
        False,
    )
    marker = end_marker(committed=True, producer_id=5, producer_epoch=0, coordinator_epoch=0, timestamp=1_000)
    log.append(marker, 1_000, check=False)
    assert (log.last_stable_offset, log.has_open_transaction(5, 0)) == (2, False)


def forged(
    payload: bytes, count: int, *, last_delta: int | None = None, codec: int = 0, at: int = 1_000
) -> bytearray:
    """A batch with the right checksum over whatever was put into it."""
    data = batch(b"x")[:61] + payload
    struct.pack_into(">i", data, 8, len(data) - 12)
    struct.pack_into(">hiqq", data, 21, codec, count - 1 if last_delta is None else last_delta, at, at)
    struct.pack_into(">i", data, 57, count)
    struct.pack_into(">I", data, 17, crc32c(memoryview(data)[21:]))
    return data


def test_records_that_cannot_be_what_the_header_says_are_refused(where: Path | None) -> None:
    log = open_log(where)
    one, two = bytes(batch(b"x")[61:]), bytes(batch(b"x", b"y")[61:])
    for payload, count in [
        (b"", 1),
        (b"", 2**31 - 1),
        (one, 2**31 - 1),
        (one, 2),
        (two, 1),
        (two, 3),
        (one + b"\x00", 1),
        (one[:-1], 1),
        (b"\xff" * 40, 1),
        (b"\xff" * 40, 3),
        (b"\x00" * 40, 2),
        (b"\x80" * 40, 2),
        (b"\x01" + bytes(20), 1),
    ]:
        assert refused(log, forged(payload, count)) == ErrorCode.INVALID_RECORD, (payload, count)
    assert refused(log, forged(two, 2, last_delta=2)) == ErrorCode.INVALID_RECORD
    assert refused(log, forged(two, 1, last_delta=1)) == ErrorCode.INVALID_RECORD
    for codec in range(1, 5):
        for payload in (b"", one):
            assert refused(log, forged(payload, 2**31 - 1, codec=codec)) == ErrorCode.INVALID_RECORD
    log.append(forged(two, 2), 1_000)
    assert values(log) == [b"x", b"y"]


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_records_that_cannot_be_read_are_told_as_such(where: Path | None, codec: int) -> None:
    """What lies in the records is the clients' business; what cannot be read does not end a connection."""
    log = open_log(where)
    payload = b"\xff" * 1_100 if codec else b"\x1e" + b"\xff" * 15  # compressed batches up to 1 kB are opened
    log.append(forged(payload, 1, codec=codec), 1_000)
    log.append(batch(b"fine", at=5_000), 1_000)
    for wanted in (0, 1_000):
        with pytest.raises(KafkaError) as caught:
            log.offset_for_timestamp(wanted)
        assert caught.value.code == ErrorCode.CORRUPT_MESSAGE
    assert log.offset_for_timestamp(2_000) == (1, 5_000)
    assert log.max_timestamp() == (1, 5_000)
    log.append(forged(payload, 1, codec=codec, at=9_000), 1_000)
    with pytest.raises(KafkaError) as caught:
        log.max_timestamp()
    assert caught.value.code == ErrorCode.CORRUPT_MESSAGE
    assert all(log.read(offset, 10_000).size for offset in range(3)), "readers of bytes get them all the same"


@pytest.mark.parametrize("codec", CODECS[1:])
def test_a_small_compressed_batch_is_opened(where: Path | None, codec: str) -> None:
    """Its records must be there; one that would be very large is left closed, whatever it claims."""
    log = open_log(where)
    number, two = CODECS.index(codec), bytes(batch(b"x", b"y")[61:])
    for payload, count in ((two, 1), (two, 3), (b"", 1), (bytes(20), 1), (two[:-1], 2)):
        assert refused(log, forged(compress(codec, payload), count, codec=number)) == ErrorCode.INVALID_RECORD
    assert refused(log, forged(b"\xff" * 40, 1, codec=number)) == ErrorCode.UNKNOWN_SERVER_ERROR
    log.append(forged(compress(codec, two), 2, codec=number), 1_000)
    assert values(log) == [b"x", b"y"]
    closed = forged(compress(codec, batch(bytes(17_000))[61:]), 5, codec=number)
    assert len(closed) <= 1_024
    log.append(closed, 1_000)
    assert log.log_end_offset == 7


def test_a_small_batch_of_millions_of_records_is_refused() -> None:
    """Whoever reads them, to look at a key or a timestamp, would keep everybody waiting."""
    log = open_log(None)
    one = bytes(batch(b"")[61:])
    most = forged(compress("zstd", one * 1_000_001), 1_000_001, codec=4)
    assert len(most) < 4_096
    assert refused(log, most) == ErrorCode.INVALID_RECORD
    log.append(forged(compress("zstd", one * 1_000_000), 1_000_000, codec=4), 1_000)
    assert log.log_end_offset == 1_000_000


def test_two_batches_of_an_idempotent_producer_are_refused() -> None:
    both = batch(b"a", producer=(5, 0, 0)) + batch(b"b", producer=(5, 0, 1))
    assert refused(open_log(None), both) == ErrorCode.INVALID_RECORD
