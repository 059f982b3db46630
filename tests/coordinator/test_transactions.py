"""The transaction coordinator, transition by transition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.coordinator.transactions import Bench

from rota.coordinator.transactions import TransactionConfig, TransactionRecord, TransactionState
from rota.coordinator.transactions.log_format import decode_record, encode_record
from rota.coordinator.transactions.states import NAMES, TRANSITIONS
from rota.coordinator.transactions.step import MAX_EPOCH
from rota.model import ErrorCode as E
from rota.model import TopicPartition
from rota.wire import WireError

S = TransactionState
T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
OFFSETS = TopicPartition("__consumer_offsets", 7)


# --- Empty --------------------------------------------------------------------------------------------------


def test_init_to_empty() -> None:
    bench = Bench()
    assert bench.init() == (E.NONE, 1_000, 0)
    assert (bench.of().state, bench.of().partitions, bench.of().start_ms) == (S.EMPTY, frozenset(), -1)


def test_init_again_from_empty_gives_the_next_epoch() -> None:
    bench = Bench()
    producer_id, _ = bench.begin()
    assert [bench.begin() for _ in range(3)] == [(producer_id, epoch) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_init_with_a_timeout_that_is_not_allowed(timeout_ms: int) -> None:
    bench = Bench()
    assert bench.init(timeout_ms=timeout_ms) == (E.INVALID_TRANSACTION_TIMEOUT, -1, -1)
    assert not bench.log


def test_init_after_an_error_needs_the_latest_epoch() -> None:
    bench = Bench()
    first = bench.begin()
    second = bench.begin(producer=first)
    assert second == (first[0], 1)
    assert bench.begin(producer=first) == second, "the answer was lost"
    bench.begin()  # somebody else
    assert bench.init(producer=second)[0] == E.PRODUCER_FENCED
    assert bench.init(producer=second, version=3)[0] == E.INVALID_PRODUCER_EPOCH
    assert bench.init(producer=(77, 2))[0] == E.PRODUCER_FENCED


def test_init_with_used_up_epochs_gives_another_id() -> None:
    bench = Bench()
    first = bench.begin()
    bench.coordinator.replay(
        TransactionRecord("x", bench.of()._replace(producer_epoch=MAX_EPOCH))
    )  # many producers later
    second = bench.begin(producer=(first[0], MAX_EPOCH))
    assert second[0] != first[0]
    assert second[1] == 0
    assert bench.of().previous_producer_id == first[0]
    assert bench.begin(producer=(first[0], MAX_EPOCH)) == second, "the answer was lost"


def test_a_newcomer_that_could_not_be_recorded_fences_nobody() -> None:
    """The first producer's answer was lost, and the newcomer found a full disk: the repetition gets that answer."""
    bench = Bench()
    first = bench.begin()
    again = bench.begin(producer=first)
    bench.can_append = False
    assert bench.init()[0] == E.NOT_COORDINATOR
    bench.can_append = True
    assert bench.begin(producer=first) == again
    bench.begin()
    assert bench.init(producer=first)[0] == E.PRODUCER_FENCED


def test_an_end_that_could_not_be_recorded_changes_nothing() -> None:
    bench = Bench()
    first = bench.begin()
    again = bench.begin(producer=first)
    bench.add(again, 0)
    bench.can_append = False
    assert bench.end(again, version=5)[0] == E.NOT_COORDINATOR
    bench.can_append = True
    assert bench.of().state is S.ONGOING
    assert bench.end(again, version=5)[0] == E.NONE
    assert bench.begin(producer=again) == (again[0], again[1] + 1), "the answer was lost"


def test_nothing_to_end_in_empty() -> None:
    bench = Bench()
    producer = bench.begin()
    for commit in (True, False):
        assert bench.end(producer, commit=commit)[0] == E.INVALID_TXN_STATE
    assert bench.end(producer, commit=True, version=5)[0] == E.INVALID_TXN_STATE


def test_empty_to_complete_abort_for_a_new_epoch() -> None:
    bench = Bench()
    producer_id, epoch = bench.begin()
    assert bench.end((producer_id, epoch), commit=False, version=5) == (E.NONE, producer_id, epoch + 1)
    assert (bench.of().state, bench.of().start_ms) == (S.COMPLETE_ABORT, bench.now_ms)


# --- Ongoing ------------------------------------------------------------------------------------------------


def test_empty_to_ongoing_with_the_first_partition() -> None:
    bench = Bench()
    producer = bench.begin()
    bench.now_ms += 5
    assert bench.add(producer, 0) == [E.NONE]
    assert (bench.of().state, bench.of().start_ms) == (S.ONGOING, bench.now_ms)
    bench.now_ms += 5
    assert bench.add(producer, 1) == [E.NONE]
    assert bench.add_offsets(producer) == E.NONE
    assert bench.of().partitions == frozenset({T0, T1, OFFSETS})
    assert bench.of().start_ms == bench.now_ms - 5


def test_what_takes_part_already_is_not_recorded_again() -> None:
    bench = Bench()
    producer = bench.begin()
    bench.add(producer, 0, 1)
    length = len(bench.log)
    assert bench.add(producer, 1) == [E.NONE]
    assert len(bench.log) == length


def test_one_unknown_partition_and_none_is_added() -> None:
    bench = Bench()
    producer = bench.begin()
    assert bench.add(producer, 0, 3) == [E.OPERATION_NOT_ATTEMPTED, E.UNKNOWN_TOPIC_OR_PARTITION]
    assert bench.add(producer, 0, topic="u") == [E.UNKNOWN_TOPIC_OR_PARTITION]
    assert bench.of().state is S.EMPTY


def test_others_may_add_nothing_and_end_nothing() -> None:
    bench = Bench()
    old = bench.begin()
    new = bench.begin()
    stranger = (77, 0)
    assert bench.add(old, 0) == [E.PRODUCER_FENCED]
    assert bench.add(old, 0, version=1) == [E.INVALID_PRODUCER_EPOCH]
    assert bench.add(stranger, 0) == [E.INVALID_PRODUCER_ID_MAPPING]
    assert bench.add(new, 0, name="unknown") == [E.INVALID_PRODUCER_ID_MAPPING]
    assert bench.add_offsets(old) == E.PRODUCER_FENCED
    assert bench.add_offsets(old, version=1) == E.INVALID_PRODUCER_EPOCH
    bench.add(new, 0)
    for version in (3, 5):
        assert bench.end(old, version=version)[0] == E.PRODUCER_FENCED
        assert bench.end(stranger, version=version)[0] == E.INVALID_PRODUCER_ID_MAPPING
        assert bench.end(new, name="unknown", version=version)[0] == E.INVALID_PRODUCER_ID_MAPPING
    assert bench.end(old, version=1)[0] == E.INVALID_PRODUCER_EPOCH
    assert bench.of().state is S.ONGOING


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("commit", [True, False])
def test_ongoing_to_complete(commit: bool) -> None:
    bench = Bench()
    producer = bench.begin()
    bench.add(producer, 0)
    bench.add_offsets(producer)
    assert bench.end(producer, commit=commit)[0] == E.NONE
    (markers,) = bench.markers
    assert markers == ("x", *producer, commit, frozenset({T0, OFFSETS}))
    assert bench.of().state is (S.COMPLETE_COMMIT if commit else S.COMPLETE_ABORT)
    assert bench.of().partitions == frozenset()
    assert bench.end(producer, commit=commit)[0] == E.NONE, "asked again"
    assert bench.end(producer, commit=not commit)[0] == E.INVALID_TXN_STATE
    assert len(bench.markers) == 1


@pytest.mark.parametrize("commit", [True, False])
def test_prepared_until_the_markers_are_written(commit: bool) -> None:
    bench = Bench()
    producer = bench.begin()
    bench.add(producer, 0)
    bench.marks = False
    assert bench.end(producer, commit=commit)[0] == E.NONE
    assert bench.of().state is (S.PREPARE_COMMIT if commit else S.PREPARE_ABORT)
    assert bench.add(producer, 1) == [E.CONCURRENT_TRANSACTIONS]
    assert bench.add_offsets(producer) == E.CONCURRENT_TRANSACTIONS
    assert bench.init()[0] == E.CONCURRENT_TRANSACTIONS
    assert bench.end(producer, commit=commit)[0] == E.CONCURRENT_TRANSACTIONS
    assert bench.end(producer, commit=not commit)[0] == E.INVALID_TXN_STATE
    bench.marks = True
    bench.restart()
    assert [(each.committed, each.partitions) for each in bench.markers] == [(commit, frozenset({T0}))]
    assert bench.of().state is (S.COMPLETE_COMMIT if commit else S.COMPLETE_ABORT)


def test_complete_to_ongoing() -> None:
    bench = Bench()
    producer = bench.begin()
    bench.add(producer, 0)
    bench.end(producer)
    bench.now_ms += 100
    assert bench.add(producer, 1) == [E.NONE]
    assert (bench.of().partitions, bench.of().start_ms) == (frozenset({T1}), bench.now_ms)


def test_every_end_gives_a_new_epoch() -> None:
    """KIP-890, and the markers have it too: what is late cannot become part of the next transaction."""
    bench = Bench()
    producer_id, epoch = bench.begin()
    for number, commit in enumerate((True, False, True)):
        assert bench.add((producer_id, epoch + number), 0) == [E.NONE]
        ended = bench.end((producer_id, epoch + number), commit=commit, version=5)
        assert ended == (E.NONE, producer_id, epoch + number + 1)
        assert bench.markers[-1].producer_epoch == epoch + number + 1
        again = bench.end((producer_id, epoch + number), commit=commit, version=5)
        assert again == ended, "the answer was lost"
        assert (
            bench.end((producer_id, epoch + number), commit=not commit, version=5)[0] == E.INVALID_TXN_STATE
        )
        assert bench.add((producer_id, epoch + number), 0) == [E.PRODUCER_FENCED]


def test_an_end_with_the_last_epoch_gives_another_id() -> None:
    bench = Bench()
    first, _ = bench.begin()
    bench.coordinator.replay(TransactionRecord("x", bench.of()._replace(producer_epoch=MAX_EPOCH)))
    bench.add((first, MAX_EPOCH), 0)
    code, second, epoch = bench.end((first, MAX_EPOCH), version=5)
    assert (code, epoch) == (E.NONE, 0)
    assert second != first
    assert (bench.markers[-1].producer_id, bench.markers[-1].producer_epoch) == (first, MAX_EPOCH + 1)
    assert (bench.of().producer_id, bench.of().producer_epoch) == (second, 0)
    assert bench.end((first, MAX_EPOCH), version=5) == (E.NONE, second, 0), "the answer was lost"
    assert bench.end((first, MAX_EPOCH), version=5, commit=False)[0] == E.INVALID_TXN_STATE


def test_the_epoch_after_the_last_is_for_fencing_only() -> None:
    bench = Bench()
    first, _ = bench.begin()
    bench.coordinator.replay(TransactionRecord("x", bench.of()._replace(producer_epoch=MAX_EPOCH)))
    bench.add((first, MAX_EPOCH), 0)
    assert bench.init()[0] == E.CONCURRENT_TRANSACTIONS
    assert bench.of().producer_epoch == MAX_EPOCH + 1 == 2**15 - 1
    second = bench.begin(producer=(first, MAX_EPOCH))
    assert second[0] != first
    assert second[1] == 0


# --- fencing and time ---------------------------------------------------------------------------------------


def test_ongoing_to_prepare_abort_when_a_newcomer_fences() -> None:
    bench = Bench()
    producer_id, epoch = bench.begin()
    bench.add((producer_id, epoch), 0)
    assert bench.init() == (E.CONCURRENT_TRANSACTIONS, -1, -1)
    assert bench.markers == [("x", producer_id, epoch + 1, False, frozenset({T0}))]
    assert bench.end((producer_id, epoch))[0] == E.PRODUCER_FENCED
    assert bench.init() == (E.NONE, producer_id, epoch + 2)


def test_ongoing_to_prepare_abort_when_time_is_up() -> None:
    bench = Bench()
    slow = bench.begin("slow", timeout_ms=1_000)
    quick = bench.begin("quick", timeout_ms=5_000)
    bench.begin("idle", timeout_ms=1)
    bench.add(slow, 0, name="slow")
    bench.add(quick, 1, name="quick")
    bench.now_ms += 1_000
    assert not bench.coordinator.abort_timed_out(bench.now_ms).records
    bench.now_ms += 1
    bench.carry_out(bench.coordinator.abort_timed_out(bench.now_ms))
    assert [(each.transactional_id, each.committed) for each in bench.markers] == [("slow", False)]
    assert bench.of("slow").state is S.COMPLETE_ABORT
    assert bench.of("quick").state is S.ONGOING
    assert bench.end(slow, name="slow")[0] == E.PRODUCER_FENCED
    # If nobody has taken its place, it may go on (KIP-588).
    assert bench.init("slow", producer=slow) == (E.NONE, slow[0], slow[1] + 1)


def test_ids_that_nobody_uses_are_forgotten() -> None:
    bench = Bench(TransactionConfig(expiration_ms=10_000))
    busy = bench.begin("busy")
    bench.begin("idle")
    bench.add(busy, 0, name="busy")
    bench.now_ms += 9_999
    assert not bench.coordinator.expire(bench.now_ms).records
    bench.now_ms += 1
    bench.carry_out(bench.coordinator.expire(bench.now_ms))
    assert set(bench.coordinator.transactions) == {"busy"}
    bench.restart()
    assert set(bench.coordinator.transactions) == {"busy"}


# --- failures -----------------------------------------------------------------------------------------------


def test_what_cannot_be_recorded_has_not_happened() -> None:
    bench = Bench()
    producer = bench.begin()
    bench.can_append = False
    assert bench.init() == (E.NOT_COORDINATOR, -1, -1)
    assert bench.add(producer, 0, 1) == [E.NOT_COORDINATOR] * 2
    assert bench.add_offsets(producer) == E.NOT_COORDINATOR
    bench.can_append = True
    bench.add(producer, 0)
    bench.can_append = False
    assert bench.end(producer)[0] == E.NOT_COORDINATOR
    assert not bench.markers
    bench.can_append = True
    assert bench.end(producer)[0] == E.NONE


# --- what is written down -----------------------------------------------------------------------------------


def test_records_are_read_as_they_were_written() -> None:
    bench = Bench()
    producer = bench.begin()
    bench.add(producer, 0, 1)
    record = TransactionRecord("x", bench.of()._replace(next_producer_id=9, client_version=2))
    assert decode_record(*encode_record(record)) == record
    gone = TransactionRecord("x", None)
    assert decode_record(*encode_record(gone)) == gone
    assert decode_record(b"\0\5rest", b"") is None
    for key, value in ((b"", b""), (b"\0\0\0\1x", b"\0\7"), (b"\0\0\0\1x", b"\0\1\0")):
        with pytest.raises(WireError):
            decode_record(key, value)


def test_every_recorded_state_has_a_row_and_a_name() -> None:
    assert set(TRANSITIONS) == set(S) - {S.DEAD, S.PREPARE_EPOCH_FENCE}
    assert {NAMES[state] for state in TRANSITIONS} == {
        *("Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"),
    }


_ACTIONS = st.sampled_from(
    [
        *(
            "init",
            "init again",
            "add",
            "add more",
            "offsets",
            "commit",
            "abort",
            "commit 5",
            "abort 5",
            "late",
        ),
        *("wait", "restart", "marks off", "marks on", "disk full", "disk free"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_ACTIONS, max_size=40))
def test_replaying_the_log_gives_what_was_lived_through(actions: list[str]) -> None:
    """And an id's epochs never go back, whatever a producer does and whenever the broker stops."""
    bench = Bench()
    producer = old = (-1, -1)
    seen: dict[int, int] = {}
    for action in actions:
        bench.now_ms += 1
        match action:
            case "init" | "init again":
                code, *got = bench.init(producer=producer if action == "init again" else (-1, -1))
                if code == E.NONE:
                    old, producer = producer, (got[0], got[1])
                    assert seen.get(producer[0], -1) <= producer[1]
                    seen[producer[0]] = producer[1]
            case "add" | "add more":
                bench.add(producer, 0 if action == "add" else 1)
            case "offsets":
                bench.add_offsets(producer)
            case "late":
                bench.end(old)
                bench.add(old, 2)
            case "wait":
                bench.now_ms += 60_000
                bench.carry_out(bench.coordinator.abort_timed_out(bench.now_ms))
            case "restart":
                bench.restart()
            case "marks off" | "marks on":
                bench.marks = action == "marks on"
            case "disk full" | "disk free":
                bench.can_append = action == "disk free"
            case _:
                version = 5 if action.endswith("5") else 3
                code, *got = bench.end(producer, commit=action.startswith("commit"), version=version)
                if code == E.NONE and version == 5:
                    old, producer = producer, (got[0], got[1])
                    seen[producer[0]] = producer[1]
        lived = dict(bench.coordinator.transactions)
        replayed = {}
        for key, value in bench.log:
            record = decode_record(key, value)
            assert record is not None
            assert record.transaction is not None
            replayed[record.transactional_id] = record.transaction
        assert replayed == lived
