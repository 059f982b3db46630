"""Compaction: of each key the latest record stays, at its offset; what was deleted goes in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.storage.batches import read_all

from rota.model import ErrorCode, KafkaError
from rota.storage import Log, LogConfig
from rota.storage.cleanable import cleanable
from rota.storage.compaction import Compacted, compact, run_now
from rota.wire.compression import CODECS
from rota.wire.records import BatchHeader, CorruptBatchError, Record, build_batch, end_marker


def config(**changes: Any) -> LogConfig:
    """Small segments, compacted."""
    small: dict[str, Any] = {
        "segment_bytes": 600,
        "index_interval_bytes": 100,
        "cleanup_policy": ("compact",),
        "delete_retention_ms": 1_000,
    }
    return LogConfig(**small | changes)


_CONFIG = config()
_START = 1_000


@pytest.fixture(params=["disk", "memory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "disk" else None


def opened(where: Path | None, config: LogConfig = _CONFIG) -> Log:
    return Log.open(where, config, now_ms=_START)


def put(log: Log, *pairs: tuple[str, str | None], at: int = _START, compression: str = "none") -> None:
    """One batch of keys and values; None deletes the key."""
    records = [(key.encode(), None if value is None else value.encode(), at, ()) for key, value in pairs]
    log.append(build_batch(records, compression=compression), at)


def clean(
    log: Log, cleaned_to: int | None = None, *, now_ms: int = _START, max_keys: int = 1_000
) -> Compacted:
    done = run_now(compact(cleanable(log, cleaned_to, now_ms), now_ms, max_keys=max_keys))
    assert done is not None
    return done


def headers(log: Log) -> list[BatchHeader]:
    return [header for segment in log.segments for _, header in segment.scan()]


def pairs(log: Log) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.offset, record.key, record.value) for record in read_all(log)]


def test_latest_value_of_each_key_stays_at_its_offset(where: Path | None) -> None:
    log = opened(where)
    for number in range(30):
        put(log, (f"k{number % 3}", f"v{number}"), ("once", "a") if number == 4 else ("twice", f"{number}"))
    before = read_all(log)
    active = log.segments[-1]
    done = clean(log)
    assert done.end_offset == active.base_offset
    assert log.segments[-1] is active
    expected: dict[bytes | None, Record] = {
        record.key: record for record in before if record.offset < active.base_offset
    }
    kept = [record for record in read_all(log) if record.offset < active.base_offset]
    assert kept == sorted(expected.values(), key=lambda record: record.offset)
    assert [each for each in read_all(log) if each.offset >= active.base_offset] == [
        each for each in before if each.offset >= active.base_offset
    ]
    assert log.log_end_offset == 60


def test_reads_from_the_middle_of_what_is_gone(where: Path | None) -> None:
    log = opened(where)
    for number in range(40):
        put(log, ("k", f"v{number}"))
    clean(log)
    first = log.segments[-1].base_offset - 1
    for offset in range(first + 1):
        assert read_all(log, start=offset)[0].offset == first
    assert log.log_start_offset == 0


@pytest.mark.parametrize("codec", CODECS)
def test_compressed_batches_stay_compressed_alike(where: Path | None, codec: str) -> None:
    log = opened(where)
    for number in range(20):
        put(log, ("k", f"{number}" * 40), (f"kept{number}", "x" * 40), compression=codec)
    clean(log)
    closed = log.segments[0]
    assert {header.compression for _, header in closed.scan()} == {codec}
    assert [each[1] for each in pairs(log) if each[1] != b"k"] == [b"kept%d" % number for number in range(20)]


def test_tombstones_stay_for_delete_retention_and_go_then(where: Path | None) -> None:
    log = opened(where)
    put(log, ("a", "1"), ("b", "2"))
    put(log, ("a", None), ("c", "3"))
    for number in range(20):
        put(log, ("filler", f"{number}"))
    done = clean(log, now_ms=5_000)
    tombstone = next(each for each in read_all(log) if each.key == b"a")
    assert (tombstone.offset, tombstone.value, tombstone.timestamp) == (2, None, _START)
    header = next(each for each in headers(log) if each.base_offset == 2)
    assert header.delete_horizon_ms == 6_000
    log.roll(_START)
    clean(log, done.end_offset, now_ms=5_999)
    assert any(each.key == b"a" for each in read_all(log))
    clean(log, done.end_offset, now_ms=6_000)
    assert not any(each.key == b"a" for each in read_all(log))
    assert [each.value for each in read_all(log) if each.key == b"c"] == [b"3"]


def test_a_producers_last_batch_stays_empty(where: Path | None) -> None:
    log = opened(where)
    for sequence in range(3):
        log.append(
            build_batch(
                [(b"k", b"%d" % sequence, _START, ())],
                producer_id=7,
                producer_epoch=2,
                base_sequence=sequence,
            ),
            _START,
        )
    for number in range(20):
        put(log, ("k", f"{number}"))
    clean(log)
    empty = [header for header in headers(log) if not header.record_count]
    assert [
        (each.base_offset, each.producer_id, each.producer_epoch, each.base_sequence) for each in empty
    ] == [(2, 7, 2, 2)]
    if where is not None:
        log.close(sync=False)
        again = Log.open(where, _CONFIG, now_ms=_START, recover_from=0)
        assert again.producers.by_id[7].last_sequence == 2


def test_small_segments_become_one_up_to_segment_bytes(where: Path | None) -> None:
    log = opened(where)
    for number in range(60):
        put(log, (f"k{number}", "v" * 30))
    assert len(log.segments) > 10
    count = len(log.segments)
    clean(log)
    # Each pair of two does not fit: nothing was removed.
    assert len(log.segments) >= count - 1
    log.update_config(config(segment_bytes=100_000))
    put(log, ("x", "y"))
    clean(log)
    assert len(log.segments) == 2
    assert len(pairs(log)) == 61


def test_where_not_all_keys_fit_into_memory_rounds_follow_each_other(where: Path | None) -> None:
    log = opened(where)
    for number in range(60):
        put(log, (f"k{number % 20}", f"v{number}"))
    end = 0
    rounds = 0
    while end < log.segments[-1].base_offset:
        done = clean(log, end, max_keys=6)
        assert done.end_offset > end
        end = done.end_offset
        rounds += 1
    assert rounds > 3
    keys = [each[1] for each in pairs(log) if each[0] < end]
    assert len(keys) == len(set(keys)) == 20


def test_aborted_records_go_and_markers_when_nothing_needs_them(where: Path | None) -> None:
    log = opened(where, config(segment_bytes=2_000))
    for sequence, committed in enumerate((True, False)):
        batch = build_batch(
            [(b"t%d" % sequence, b"v", _START, ())],
            producer_id=5,
            producer_epoch=0,
            base_sequence=sequence,
            transactional=True,
        )
        log.append(batch, _START, check=False)
        marker = end_marker(
            committed=committed, producer_id=5, producer_epoch=0, coordinator_epoch=0, timestamp=_START
        )
        log.append(marker, _START, check=False)
    for number in range(60):
        put(log, ("filler", f"{number}"))
    assert log.aborted_transactions(0, 10) == [(5, 2)]
    done = clean(log, now_ms=5_000)
    assert [each[1] for each in pairs(log) if each[0] in {0, 2}] == [b"t0"]
    assert [header.base_offset for header in headers(log) if header.is_control] == [1, 3]
    # The aborted batch is still there, empty: it has the producer's last sequence.
    assert log.aborted_transactions(0, 10) == [(5, 2)]
    log.roll(_START)
    clean(log, done.end_offset, now_ms=5_000)
    clean(log, done.end_offset, now_ms=6_001)
    assert next(header.base_offset for header in headers(log) if header.is_control) == 1
    if where is not None:
        log.close()
        again = Log.open(where, _CONFIG, now_ms=_START, recover_from=None)
        assert again.aborted_transactions(0, 10) == log.aborted_transactions(0, 10)


def test_nothing_behind_an_open_transaction_is_touched(where: Path | None) -> None:
    log = opened(where)
    put(log, ("k", "1"))
    batch = build_batch(
        [(b"t", b"v", _START, ())], producer_id=5, producer_epoch=0, base_sequence=0, transactional=True
    )
    log.append(batch, _START, check=False)
    for number in range(20):
        put(log, ("k", f"{number}"))
    assert cleanable(log, None, _START).end == 0
    before = pairs(log)
    clean(log)
    assert pairs(log) == before


def test_the_lags_bound_what_is_cleaned(where: Path | None) -> None:
    log = opened(where, config(min_compaction_lag_ms=500, max_compaction_lag_ms=5_000))
    for number in range(40):
        put(log, ("k", f"{number}"), at=_START + 10 * number)
    all_of_it = cleanable(log, None, 10_000)
    assert all_of_it.end == log.segments[-1].base_offset
    assert all_of_it.is_overdue
    some = cleanable(log, None, 1_600)
    assert 0 < some.end < all_of_it.end
    assert not some.is_overdue
    assert log.segments[log.bases.index(some.end)].max_timestamp > 1_100
    assert all_of_it.ratio == 1.0


def test_a_log_that_dropped_its_segments_meanwhile_wins(where: Path | None) -> None:
    log = opened(where, config(cleanup_policy=("compact", "delete")))
    for number in range(40):
        put(log, ("k", f"{number}"))
    steps = compact(cleanable(log, None, _START), _START)
    work = next(steps)
    turns = 0
    while turns < 40 or work is not None:
        work = steps.send(None if work is None else work())
        turns += 1
    log.delete_records(log.segments[-1].base_offset)
    after = pairs(log)
    assert run_now(steps) is None
    assert pairs(log) == after
    if where is not None:
        assert not list(where.glob("*.cleaned"))


def test_what_was_handed_out_stays_readable(where: Path | None) -> None:
    log = opened(where)
    for number in range(40):
        put(log, ("k", f"{number}"))
    pieces = [log.read(segment.base_offset, 10_000) for segment in log.segments]
    before = [b"".join(bytes(chunk) for chunk in piece.chunks) for piece in pieces]
    clean(log)
    assert [b"".join(bytes(chunk) for chunk in piece.chunks) for piece in pieces] == before


def test_records_without_a_key_are_refused_and_old_ones_go(where: Path | None) -> None:
    log = opened(where, config(cleanup_policy=("delete",)))
    for number in range(20):
        log.append(build_batch([(None, b"old %d" % number, _START, ())]), _START)
    log.update_config(_CONFIG)
    with pytest.raises(KafkaError) as refused:
        log.append(build_batch([(None, b"new", _START, ())]), _START)
    assert refused.value.code == ErrorCode.INVALID_RECORD
    put(log, ("k", "v"))
    first_kept = log.segments[-1].base_offset
    clean(log)
    assert [each[0] for each in pairs(log)] == list(range(first_kept, 21))


def test_damage_is_never_copied(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for number in range(20):
        put(log, ("k", f"{number}"))
    path = tmp_path / "00000000000000000000.log"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptBatchError, match="checksum"):
        clean(log)
    assert not list(tmp_path.glob("*.cleaned"))
    assert path.read_bytes() == data


def test_retention_goes_past_a_segment_without_records(where: Path | None) -> None:
    log = opened(where, config(cleanup_policy=("compact", "delete"), segment_bytes=300, retention_ms=10_000))
    for _ in range(20):
        put(log, ("k", "v" * 200))
    clean(log)
    assert not log.segments[0].size
    assert log.apply_retention(_START + 20_000) > 0
    assert log.log_start_offset == log.log_end_offset
