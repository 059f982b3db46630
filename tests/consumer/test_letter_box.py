"""Which dead letters are meant, and how a replay remembers those that it has sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.consumer.stored_message import StoredMessage

from rota.consumer.clients.client import Offset
from rota.consumer.failed.letter_box import Found, Kind, Position, Selection, Summary, replay_headers
from rota.consumer.failed.letters import Letter, Origin, read_letter


def found(
    offset: int = 0, exception: str = "ValueError", group: str = "g", at_ms: int = 1_000, partition: int = 0
) -> Found:
    letter = Letter(Origin("orders", 1, 7), group, exception, "why", at_ms)
    headers = [("trace-id", b"\x01"), *letter.headers()]
    return Found.of(StoredMessage("dlq", partition, offset, its_headers=headers))


def test_a_selection_takes_what_satisfies_all_of_it() -> None:
    plain = found(5, "requests.exceptions.Timeout")
    assert Selection().takes(plain)
    assert Selection(exceptions=frozenset({"Timeout"})).takes(plain)
    assert Selection(exceptions=frozenset({"requests.exceptions.Timeout"})).takes(plain)
    assert not Selection(exceptions=frozenset({"exceptions.Timeout"})).takes(plain)
    assert Selection(since_ms=1_000).takes(plain)
    assert not Selection(since_ms=1_001).takes(plain)
    assert Selection(offsets=frozenset({(0, 5)}), groups=frozenset({"g"})).takes(plain)
    assert not Selection(offsets=frozenset({(0, 5)}), groups=frozenset({"h"})).takes(plain)
    assert not Selection(offsets=frozenset({(1, 5)})).takes(plain)


def test_records_of_somebody_else() -> None:
    foreign = Found.of(StoredMessage("dlq", at_ms=500))
    assert foreign.letter is None
    assert foreign.failed_at_ms == 500
    assert Selection(since_ms=400).takes(foreign)
    assert not Selection(exceptions=frozenset({"ValueError"})).takes(foreign)
    assert not Selection(groups=frozenset({""})).takes(foreign)


def test_only_what_can_be_meant_is_read() -> None:
    assert Selection().bounds(0, 3, 9) == (3, 9)
    chosen = Selection(offsets=frozenset({(0, 5), (0, 6), (1, 100), (2, 1)}))
    assert chosen.bounds(0, 3, 9) == (5, 7)
    assert chosen.bounds(1, 3, 9)[0] >= chosen.bounds(1, 3, 9)[1]
    assert chosen.bounds(2, 3, 9)[0] >= chosen.bounds(2, 3, 9)[1]
    assert chosen.bounds(3, 3, 9) == (9, 9)


def test_the_summary_counts_and_shows_the_latest_message() -> None:
    summary = Summary()
    for each in (found(0, at_ms=20), found(1, at_ms=10), found(2, "KeyError"), found(3, group="h")):
        summary.add(each)
    assert summary.kinds == {
        Kind("ValueError", "g", "orders"): (2, 10, 20, "why"),
        Kind("KeyError", "g", "orders"): (1, 1_000, 1_000, "why"),
        Kind("ValueError", "h", "orders"): (1, 1_000, 1_000, "why"),
    }


def test_a_record_that_goes_back_has_its_own_headers_and_says_which_letter_it_was() -> None:
    assert replay_headers(found(5), "orders") == [("trace-id", b"\x01"), ("rota-replayed", b"dlq-0@5")]


def test_one_that_goes_elsewhere_still_says_where_it_was_first() -> None:
    letter = read_letter(replay_headers(found(5), "orders.g.retry.10s"))
    assert letter is not None
    assert letter.origin == Origin("orders", 1, 7)
    assert (letter.exception, letter.due_at_ms) == ("", 0)


RUNS = st.lists(
    st.tuples(st.sets(st.integers(0, 40)), st.integers(0, 40), st.booleans(), st.integers(0, 41)), max_size=6
)


@given(st.sets(st.integers(0, 40)), RUNS)
def test_over_any_runs_a_letter_is_sent_once_and_none_is_forgotten(
    there: set[int], runs: list[tuple[set[int], int, bool, int]]
) -> None:
    """Each run means some letters, begins anywhere (or where it must), stops anywhere, and commits."""
    sent: set[int] = set()
    committed: Offset | None = None
    for meant, start, from_start, stop in runs:
        position = Position(committed)
        begin = start if from_start else position.begin
        position.read_from(begin)
        for offset in sorted(at for at in there if begin <= at < stop):
            before = position.sent_before(offset)
            assert before == (offset in sent), "what was sent is known, and nothing else"
            position.passed(offset, sent=offset in meant and not before)
            if offset in meant:
                sent.add(offset)
        committed, whole = position.offset()
        assert whole
    last = Position(committed)
    assert {at for at in there if last.sent_before(at)} == sent
    assert all(at in sent for at in there if at < last.begin)


def test_what_is_too_scattered_to_be_remembered_is_told() -> None:
    position = Position()
    for at in range(0, 20_000, 2):
        position.passed(at, sent=True)
        position.passed(at + 1, sent=False)
    offset, whole = position.offset()
    assert not whole
    assert len(offset.metadata) <= 4_095
    assert not Position(offset).sent_before(1)


def test_what_the_topic_has_lost_needs_no_remembering() -> None:
    position = Position()
    position.gone_before(100)
    position.read_from(100)
    position.passed(100, sent=False)
    position.passed(101, sent=True)
    assert position.offset()[0].offset == 100
    position = Position(position.offset()[0])
    position.gone_before(101)
    assert position.offset()[0] == Offset(102, "")
