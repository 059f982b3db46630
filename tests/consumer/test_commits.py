"""When is committed, what, and what becomes of a commit that is not taken."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.consumer.fakes import FakeMessage
from tests.consumer.stage import P0, P1, Stage

from rota.consumer.clients.client import CommitError, Offset
from rota.consumer.core.offset_metadata import decode_done, encode_done
from rota.consumer.core.progress import Range
from rota.consumer.core.state import Partition
from rota.consumer.effects.outputs import Outputs
from rota.model import TopicPartition


def done_of(stage: Stage, keys: list[str | None]) -> None:
    stage.produce(keys)
    stage.fetch()
    stage.work()


def test_what_is_done_is_committed_after_the_interval_and_not_again() -> None:
    stage = Stage(commit_every=1_000, commit_interval=500)
    done_of(stage, ["a", "b"])
    stage.tick(499)
    assert stage.client.asked == []
    stage.tick(1)
    (asked,) = stage.client.asked
    assert asked[0] == {P0: Offset(2)}
    stage.client.answer()
    for _ in range(10):
        stage.tick(500)
    assert stage.client.asked == []


def test_or_after_so_many_records_but_one_at_a_time() -> None:
    stage = Stage(commit_every=3, commit_interval=10_000, commit_spacing=20)
    done_of(stage, ["a", "b", "c"])
    stage.tick(20)
    assert len(stage.client.asked) == 1
    done_of(stage, ["a", "b", "c"])
    stage.tick(1_000)
    assert len(stage.client.asked) == 1, "the first has no answer yet"
    stage.client.answer()
    stage.tick(20)
    assert stage.client.asked[0][0] == {P0: Offset(6)}


def test_nothing_counts_before_the_answer_and_what_failed_is_committed_again() -> None:
    stage = Stage()
    done_of(stage, ["a", "b", "c"])
    stage.tick(50)
    assert stage.engine.partitions[P0].committed is None
    stage.client.answer(ok=False)
    assert stage.engine.partitions[P0].committed is None
    stage.tick(100)
    stage.client.answer()
    assert stage.engine.partitions[P0].committed == Offset(3) == stage.kafka.committed[P0]


def test_a_commit_that_is_never_answered_does_not_end_all_commits() -> None:
    stage = Stage()
    done_of(stage, ["a", "b", "c"])
    stage.tick(50)
    ((_, late),) = stage.client.asked
    stage.client.asked.clear()
    stage.tick(59_000)
    assert stage.client.asked == []
    stage.tick(2_000)
    assert len(stage.client.asked) == 1
    stage.client.answer()
    late(CommitError("much too late"), {})
    assert stage.engine.partitions[P0].committed == Offset(3)


def test_what_is_done_beyond_a_record_that_is_not_is_in_the_metadata() -> None:
    stage = Stage(order="none")
    stage.stuck = {1}
    done_of(stage, ["a", "b", "c", "d"])
    stage.go_on(100)
    offset, text = stage.kafka.committed[P0]
    assert offset == 1
    assert decode_done(offset, text) == (Range(2, 4),)


def test_and_is_not_done_again_by_whoever_has_the_partition_next() -> None:
    stage = Stage()
    stage.produce(["a", "b", "c", "d", "e"])
    stage.client.withdraw([P0], lost=False)
    stage.kafka.committed[P0] = Offset(1, encode_done(1, [Range(2, 4)]) + "\0")
    stage.client.assign([P0])
    stage.go_on(100)
    assert sorted(stage.done) == [1, 4]
    assert stage.kafka.committed[P0] == Offset(5)


@pytest.mark.parametrize("at", [8, 9], ids=["at once", "after a record"])
def test_what_was_done_of_a_log_that_begins_anew_is_forgotten(at: int) -> None:
    stage = Stage()
    stage.client.withdraw([P0], lost=False)
    stage.kafka.committed[P0] = Offset(8, encode_done(8, [Range(9, 12)]))
    stage.produce([str(number) for number in range(at)])
    stage.client.assign([P0])
    stage.fetch()
    assert stage.begun == []
    stage.produce([str(number) for number in range(at, 14)])
    stage.client.fetch_at[P0] = stage.client.wished[P0] = (
        0  # OFFSET_OUT_OF_RANGE, and auto.offset.reset=earliest
    )
    stage.go_on(100)
    assert sorted(set(stage.done)) == list(range(14))
    assert stage.committed() == 14


def test_markers_and_holes_hold_nothing_up() -> None:
    stage = Stage()
    stage.kafka.produce(P0, b"a", hole=3)
    stage.kafka.produce(P0, b"a", hole=5)
    stage.kafka.mark(P0)
    stage.go_on(100)
    assert stage.kafka.committed[P0] == Offset(11)


def test_a_revoke_commits_again_what_the_broker_could_not_take_just_then() -> None:
    stage = Stage()
    done_of(stage, ["a", "b"])
    stage.client.commits_fail = [CommitError("the coordinator moves")] * 3
    stage.client.withdraw([P0], lost=False)
    assert stage.committed() == 2
    assert stage.clock.now <= 400


@pytest.mark.parametrize("why", ["lost", "final", "fenced"])
def test_a_revoke_does_not_insist_where_it_is_of_no_use(why: str) -> None:
    stage = Stage()
    done_of(stage, ["a", "b"])
    stage.client.commits_fail = [CommitError("no", **{why: True})]
    stage.client.withdraw([P0], lost=False)
    assert stage.committed() is None
    assert stage.clock.now == 0


def test_a_revoke_insists_for_seconds_and_not_for_ever() -> None:
    stage = Stage()
    done_of(stage, ["a", "b"])
    stage.client.commits_fail = [CommitError("the coordinator moves")] * 1_000
    stage.client.withdraw([P0], lost=False)
    assert 4_000 < stage.clock.now < 6_000


def test_a_fenced_member_stops() -> None:
    stage = Stage()
    done_of(stage, ["a", "b", "c"])
    stage.tick(50)
    stage.client.answer(error=CommitError("another has this group.instance.id", fenced=True))
    stage.tick()
    assert stage.engine.stopping == "another has this group.instance.id"


def test_a_broker_that_takes_no_such_text_gets_the_offset_alone(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(order="none")
    stage.kafka.largest_metadata = 4
    stage.produce(["a"] * 120)
    stage.stuck = {50}
    with caplog.at_level(logging.WARNING, "rota.consumer"):
        stage.go_on(400)
    assert stage.kafka.committed[P0] == Offset(50)
    assert "offset.metadata.max.bytes" in caplog.text
    stage.stuck = set()
    stage.go_on(400)
    assert stage.kafka.committed[P0] == Offset(120)


def test_with_thousands_under_way_looks_are_rarer() -> None:
    stage = Stage(in_flight=10_000, commit_spacing=1)
    stage.stuck = {0}
    stage.produce(["a"] * 5_000)
    stage.fetch()
    stage.produce(["b", "c", "d", "e", "f", "g"] * 100, P1)
    asked = 0
    for _ in range(200):
        stage.fetch()
        stage.work(2)
        stage.tick(1)
        asked += len(stage.client.asked)
        stage.client.answer()
    assert 3 <= asked <= 12, "every twentieth of a second or so, not every millisecond"


def test_records_that_are_handed_out_while_their_partition_goes_are_not_committed() -> None:
    stage = Stage()
    stage.produce(["a", "b", "c"])
    stage.fetch(1)
    stage.work()
    found = stage.client.fetch(2, lambda: stage.client.withdraw([P0], lost=False))
    assert stage.committed() == 1, "the client's position was beyond it"
    stage.engine.dispatch(found)
    stage.work()
    assert stage.done == [0]


pieces = st.lists(
    st.lists(
        st.tuples(st.sampled_from([P0, P1, TopicPartition("events", 0)]), st.integers(0, 99)), min_size=1
    ),
    max_size=6,
)


@settings(deadline=None)
@given(pieces, st.booleans())
def test_the_quick_look_finds_the_first_of_each_partition_that_is_not_done(
    places: list[list[tuple[TopicPartition, int]]], in_order: bool
) -> None:
    stage = Stage()
    stage.engine.partitions[TopicPartition("events", 0)] = Partition(None, ())
    stage.lanes.undone = lambda: (  # type: ignore[method-assign]
        ([FakeMessage(where, at, None) for where, at in (sorted(piece) if in_order else piece)], in_order)
        for piece in places
    )
    expected: dict[TopicPartition, int] = {}
    for where, at in (place for piece in places for place in piece):
        expected[where] = min(at, expected.get(where, at))
    assert stage.engine.commits._first_undone() == expected


class Written(Outputs):
    """Where commits are not transactions: what is committed is written."""

    @property
    def waiting(self) -> int:
        return 0


def out_of_order(stage: Stage, offsets: list[int]) -> None:
    """Records of a new partition are done in this order, each with a commit of its own."""
    stage.stuck = set(range(10))
    stage.produce([f"k{at}" for at in range(10)])
    for at in offsets:
        stage.stuck.discard(at)
        stage.go_on(100)


@pytest.mark.parametrize("outputs", [None, Written()], ids=["at least once", "exactly once"])
def test_what_a_commit_has_named_stays_named_when_there_is_no_room_for_more(outputs: Outputs | None) -> None:
    stage = Stage(order="none", workers=10, metadata_bytes=14, outputs=outputs)
    out_of_order(stage, [8, 6, 4, 2])
    assert decode_done(*stage.kafka.committed[P0]) == (Range(4, 5), Range(6, 7), Range(8, 9))
    stage.stuck = set()
    stage.go_on(100)
    assert stage.kafka.committed[P0] == Offset(10)


def test_outputs_that_are_visible_stay_named_with_smaller_metadata_bytes() -> None:
    stage = Stage(order="none", workers=10, metadata_bytes=0, outputs=Written())
    stage.client.withdraw([P0], lost=False)
    named = [Range(at, at + 1) for at in range(3, 13, 2)]
    stage.kafka.committed[P0] = Offset(0, encode_done(0, named))
    stage.client.assign([P0])
    out_of_order(stage, [0])
    assert stage.kafka.committed[P0] == Offset(1, encode_done(1, named))


def test_a_broker_that_takes_less_than_what_must_be_named_ends_the_consumer() -> None:
    stage = Stage(order="none", workers=10, outputs=Written())
    out_of_order(stage, [9, 7, 5, 3])
    stage.kafka.largest_metadata = 4
    stage.stuck.discard(0)
    stage.go_on(1_000)
    named = decode_done(*stage.kafka.committed[P0])
    assert len(named) == 4, "nothing was dropped"
    assert stage.engine.stopping is not None
    assert "offset.metadata.max.bytes" in stage.engine.stopping


def test_a_transaction_that_ends_late_counts_all_the_same() -> None:
    stage = Stage(order="none", outputs=Written())
    done_of(stage, ["a", "b", "c"])
    stage.tick(50)
    ((offsets, late),) = stage.client.asked
    stage.client.asked.clear()
    stage.tick(61_000)
    ((_, refuse),) = stage.client.asked
    refuse(CommitError("the transaction before it is still under way"), {})
    late(None, {})
    assert stage.engine.partitions[P0].committed == offsets[P0] == Offset(3)


@pytest.mark.parametrize("records", [3, 80])
def test_where_the_client_knows_no_position_what_was_handed_out_says_how_far_was_read(records: int) -> None:
    stage = Stage(commit_every=1_000, commit_interval=500)
    told = stage.client.positions
    stage.client.positions = lambda partitions: {  # type: ignore[method-assign]
        where: at for where, at in told(partitions).items() if where != P0
    }
    done_of(stage, ["a"] * records)
    stage.work(10 * records)
    stage.tick(500)
    (asked,) = stage.client.asked
    assert asked[0] == {P0: Offset(records)}
