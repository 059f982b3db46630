"""The text beside a committed offset."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.consumer.offset_metadata import LONGEST, decode_done, encode_done
from rota.consumer.progress import Range

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ranges_beyond(offset: int, steps: list[tuple[int, int]]) -> tuple[Range, ...]:
    found, at = [], offset
    for gap, length in steps:
        found.append(Range(at + gap, at + gap + length))
        at += gap + length
    return tuple(found)


steps = st.lists(st.tuples(st.integers(1, 1 << 20), st.integers(1, 1 << 20)), max_size=200)


@relaxed
@given(st.integers(0, 1 << 50), steps)
def test_what_is_written_is_read(offset: int, given_: list[tuple[int, int]]) -> None:
    done = ranges_beyond(offset, given_)
    assert decode_done(offset, encode_done(offset, done)) == done


@relaxed
@given(st.integers(0, 1 << 40), steps, st.integers(0, 300))
def test_it_is_never_longer_than_allowed_and_then_leaves_out_the_end(
    offset: int, given_: list[tuple[int, int]], longest: int
) -> None:
    done = ranges_beyond(offset, given_)
    text = encode_done(offset, done, longest)
    assert len(text) <= longest
    found = decode_done(offset, text)
    assert found == done[: len(found)]


@relaxed
@given(st.integers(0, 100), steps)
def test_nuls_at_the_end_do_no_harm(offset: int, given_: list[tuple[int, int]]) -> None:
    text = encode_done(offset, ranges_beyond(offset, given_))
    assert decode_done(offset, text + "\0") == decode_done(offset, text)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "\0", "noted by hand", "rota2:AQE", "rota1", "rota1:!", "rota1:A", "rota1:gA", "rota1:AQ",
        "rota1:AAA", "rota1:" + "/" * 40, "b64:AAAA", "rota1:ä",
    ],
)  # fmt: skip
def test_what_is_not_ours_or_damaged_says_nothing(text: str | None) -> None:
    assert decode_done(7, text) == ()


@relaxed
@given(st.integers(0, 1 << 62), st.text(), st.booleans())
def test_nothing_that_may_stand_there_is_fatal(offset: int, text: str, marked: bool) -> None:
    for first, end in decode_done(offset, f"rota1:{text}" if marked else text):
        assert offset < first < end < 1 << 63


@relaxed
@given(st.integers(0, 1 << 40), steps, st.data())
def test_damage_never_makes_the_offset_itself_done(
    offset: int, given_: list[tuple[int, int]], data: st.DataObject
) -> None:
    text = encode_done(offset, ranges_beyond(offset, given_)) or "rota1:"
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.characters(max_codepoint=127)) + text[at + 1 :]
    assert all(first > offset for first, _ in decode_done(offset, damaged))


def test_the_documented_example() -> None:
    text = encode_done(7, [Range(8, 10), Range(12, 13)])
    assert text == "rota1:AQECAA"
    assert decode_done(7, text) == (Range(8, 10), Range(12, 13))


def test_thousands_of_single_records_fit_by_half_a_thousand() -> None:
    done = [Range(at, at + 1) for at in range(2, 10_000, 2)]
    text = encode_done(0, done)
    assert len(text) <= LONGEST
    assert len(decode_done(0, text)) > 1_500
