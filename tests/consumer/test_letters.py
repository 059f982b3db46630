"""The headers of records that failed: what is written is what is read, whatever stands in it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.consumer.stored_message import StoredMessage

from rota.consumer.failed.letters import (
    LONGEST_MESSAGE,
    LONGEST_TRACE,
    OURS,
    REPLAYED,
    UNREADABLE,
    Letter,
    Origin,
    due_at_ms,
    here,
    origin_of,
    read_letter,
    without_ours,
)

LARGEST = 2**63 - 1
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
TOPIC = st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True)
NUMBER = st.integers(0, LARGEST)
OWN_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["rota-shift", "rota-", "rota-original-topic-2"])
        | st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda name: name not in OURS),
        st.none() | st.binary(max_size=40),
    ),
    max_size=5,
)
LETTERS = st.builds(
    Letter,
    origin=st.builds(Origin, TOPIC, st.integers(0, 2**31 - 1), NUMBER, st.just(-1) | NUMBER, NUMBER),
    group=TEXT,
    exception=TEXT,
    message=TEXT,
    failed_at_ms=NUMBER,
    trace=TEXT,
    due_at_ms=st.none() | NUMBER,
)
FULL = Letter(Origin("orders", 1, 7, 99, 3), "billing", "ValueError", "why", 1_000, "trace", 2_000)


@given(LETTERS, OWN_HEADERS)
def test_what_is_written_is_read_and_the_record_s_own_headers_stay(letter: Letter, own: object) -> None:
    assert isinstance(own, list)
    headers = [*own, *letter.headers()]
    assert read_letter(headers) == letter
    assert without_ours(headers) == own
    assert due_at_ms(headers) == letter.due_at_ms


@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in FULL.headers()]) | st.text(max_size=5),
            st.none() | st.binary(max_size=30) | st.text(max_size=5),
        )
    )
    | st.none()
)
def test_whatever_stands_in_the_headers_reading_them_never_fails(headers: object) -> None:
    letter = read_letter(headers)
    if letter is not None:
        assert 0 <= letter.origin.offset <= LARGEST
        assert read_letter(letter.headers()) == letter


def test_a_record_without_a_full_origin_has_no_letter() -> None:
    assert read_letter(None) is None
    assert read_letter([("rota-original-topic", b"orders"), ("rota-original-partition", b"0")]) is None
    assert read_letter([("rota-original-topic", b"\x1b[2J"), *FULL.headers()[1:]]) is None
    broken = [(name, b"-1" if name == "rota-original-offset" else value) for name, value in FULL.headers()]
    assert read_letter(broken) is None


def test_a_header_of_the_user_may_begin_as_ours_do() -> None:
    own = [("rota-shift", b"night"), ("rota-", b"1"), ("x", b"2")]
    assert without_ours([*own, *FULL.headers(), (REPLAYED, b"d-0@1"), (UNREADABLE, b"lost")]) == own


def test_a_long_message_keeps_its_beginning_and_a_long_trace_its_end() -> None:
    headers = dict(FULL._replace(message="ä" * 5_000, trace="ö" * 50_000 + "the end").headers())
    message, trace = headers["rota-exception-message"], headers["rota-exception-trace"]
    assert message is not None
    assert trace is not None
    assert LONGEST_MESSAGE - 4 <= len(message) <= LONGEST_MESSAGE
    assert LONGEST_TRACE - 4 <= len(trace) <= LONGEST_TRACE
    assert message.decode().strip("ä") == "…"
    assert trace.decode().strip("ö…") == "the end"
    assert trace.decode().startswith("…ö")


def test_text_that_is_no_unicode_is_escaped() -> None:
    headers = FULL._replace(message="half a pair: \ud800").headers()
    letter = read_letter(headers)
    assert letter is not None
    assert letter.message == "half a pair: \\ud800"
    assert read_letter([("rota-group", b"\xff"), *FULL.headers()[:3]]) is not None


def test_where_a_record_is() -> None:
    assert here(StoredMessage("t", 2, 5, at_ms=8)) == Origin("t", 2, 5, 8)
    assert here(StoredMessage("t", 2, 5)).timestamp_ms == -1
    assert origin_of(StoredMessage("t", 2, 5, at_ms=8), ["t"]) == Origin("t", 2, 5, 8)
    assert origin_of(StoredMessage("t", its_headers=FULL.headers()), ["t"]) == FULL.origin
    dead = FULL._replace(due_at_ms=None).headers()
    assert origin_of(StoredMessage("t", 2, 5, its_headers=dead), ["other"]) == Origin("t", 2, 5)


def test_headers_are_believed_in_the_handlers_own_retry_topics_only() -> None:
    forged = StoredMessage("t", 2, 5, its_headers=FULL.headers())
    assert origin_of(forged, ["t.g.retry.1s"]) == Origin("t", 2, 5)


def test_where_records_are() -> None:
    assert str(here(StoredMessage("t", 2, 5))) == "t-2 at offset 5"


def test_every_header_is_documented() -> None:
    text = Path(__file__).parents[2].joinpath("docs/dead-letters.md").read_text(encoding="utf-8")
    for name in [*dict(FULL.headers()), REPLAYED, UNREADABLE]:
        assert f"`{name}`" in text or f"`-{name.rpartition('-')[2]}`" in text, name
