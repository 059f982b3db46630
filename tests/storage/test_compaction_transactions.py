"""Compaction beside transactions: readers of committed records never see an aborted one, and lose none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.storage.committed import committed, end_transaction
from tests.storage.test_compaction import clean, config, headers, pairs, put, where

from rota.model import TopicPartition
from rota.storage import Log
from rota.storage.cleanable import cleanable, dirtiest
from rota.wire.records import build_batch

__all__ = ["where"]

_START = 1_000
_LARGE = config(segment_bytes=100_000)


@pytest.fixture
def log(where: Path | None) -> Log:
    return Log.open(where, _LARGE, now_ms=_START)


def put_in_transaction(log: Log, producer_id: int, key: str, value: str, *, sequence: int = 0) -> None:
    batch = build_batch(
        [(key.encode(), value.encode(), _START, ())],
        producer_id=producer_id,
        producer_epoch=0,
        base_sequence=sequence,
        transactional=True,
    )
    log.append(batch, _START)


def seen(log: Log) -> list[tuple[bytes | None, bytes | None]]:
    return [(each.key, each.value) for each in committed(log)]


def test_a_round_that_ends_inside_an_aborted_transaction_forgets_nothing_of_it(log: Log) -> None:
    put(log, ("k2", "committed"))
    put_in_transaction(log, 2, "k1", "aborted")
    put_in_transaction(log, 2, "k2", "aborted", sequence=1)
    put(log, ("p", "0"))
    put(log, ("q", "0"))
    put_in_transaction(log, 2, "k3", "aborted", sequence=2)
    end_transaction(log, 2, _START, commits=False)
    log.roll(_START)
    put(log, ("z", "9"))
    expected = seen(log)
    end = 0
    while end < log.segments[-1].base_offset:
        end = clean(log, end, max_keys=1).end_offset
        assert seen(log) == expected
    assert log.aborted_transactions(0, 10) == [(2, 1)]


def test_an_abort_behind_an_open_transaction_is_not_forgotten(log: Log) -> None:
    put(log, ("a", "0"))
    put(log, ("y", "committed"))
    put(log, ("a", "1"))
    put_in_transaction(log, 1, "x", "open")
    put_in_transaction(log, 2, "y", "aborted")
    end_transaction(log, 2, _START, commits=False)
    log.roll(_START)
    put(log, ("z", "9"))
    done = clean(log)
    end_transaction(log, 1, _START, commits=True)
    log.roll(_START)
    put(log, ("z", "0"))
    expected = [(b"y", b"committed"), (b"a", b"1"), (b"x", b"open"), (b"z", b"9"), (b"z", b"0")]
    assert seen(log)[-5:] == expected
    clean(log, done.end_offset)
    assert seen(log) == expected


def test_a_transaction_that_spans_two_rounds_and_is_aborted_in_the_second(log: Log) -> None:
    for number in range(3):
        put(log, (f"k{number}", "old"))
        put_in_transaction(log, 2, f"k{number}", "aborted", sequence=number)
        log.roll(_START)
    end_transaction(log, 2, _START, commits=False)
    put(log, ("z", "9"))
    expected = seen(log)
    assert len(expected) == 4
    end = 0
    while end < log.segments[-1].base_offset:
        end = clean(log, end, max_keys=1).end_offset
        assert seen(log) == expected
    assert [each[2] for each in pairs(log)][:3] == [b"old"] * 3


def test_where_an_open_transaction_begins_its_segment_waits(log: Log) -> None:
    put(log, ("k", "1"))
    log.roll(_START)
    put(log, ("k", "2"))
    second = log.segments[-1].base_offset
    put_in_transaction(log, 5, "t", "v")
    log.roll(_START)
    put(log, ("k", "3"))
    what = cleanable(log, None, _START)
    assert (what.first_dirty, what.end) == (0, second)
    assert what.dirty_bytes == log.segments[0].size
    assert len(headers(log)) == 4


@pytest.mark.parametrize("lag_ms", [2**63 - 1, 1])
def test_nothing_is_due_while_all_that_is_dirty_waits_for_a_transaction(
    where: Path | None, lag_ms: int
) -> None:
    settings = config(segment_bytes=100_000, max_compaction_lag_ms=lag_ms, min_cleanable_dirty_ratio=0.01)
    log = Log.open(where, settings, now_ms=_START)
    logs = [(TopicPartition("t", 0), log)]
    put(log, ("k", "1"))
    put_in_transaction(log, 5, "t", "v")
    log.roll(_START)
    put(log, ("k", "2"))
    later = _START + 1_000_000
    assert dirtiest(logs, {}, later) is None
    # The earlier run was stopped in the middle of the segment, for it had too many keys.
    assert dirtiest(logs, {logs[0][0]: 1}, later) is None
    end_transaction(log, 5, _START, commits=True)
    found = dirtiest(logs, {logs[0][0]: 1}, later)
    assert found is not None
    assert found[1].end == 2
    assert dirtiest(logs, {logs[0][0]: 2}, later) is None
