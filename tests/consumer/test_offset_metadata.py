"""The text beside a committed offset."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.consumer.core.offset_metadata import CEILING, LONGEST, decode_done, encode_after, encode_done
from rota.consumer.core.progress import Range, progress

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


def names(ranges: tuple[Range, ...]) -> set[int]:
    return {at for first, end in ranges for at in range(first, end)}


@relaxed
@given(st.sets(st.integers(1, 60)), st.randoms(use_true_random=False), st.integers(8, 40), st.data())
def test_what_a_commit_has_named_the_next_one_names_again(
    missing: set[int], random: Random, longest: int, data: st.DataObject
) -> None:
    """Records finish in any order; each commit has as little room as the one before."""
    undone = {0, *missing}
    past: tuple[Range, ...] = ()
    while undone:
        undone -= set(random.sample(sorted(undone), data.draw(st.integers(1, len(undone)))))
        offset, done = progress(undone, 61)
        text = encode_after(past, offset, done, longest)
        assert text is not None
        assert len(text) <= longest
        found = decode_done(offset, text)
        assert {at for at in names(past) if at > offset} <= names(found) <= names(done)
        past = found


def test_what_was_named_and_has_no_room_any_more_is_not_left_out_in_silence() -> None:
    done = [Range(at, at + 1) for at in range(2, 20, 2)]
    assert encode_after(done, 0, done, 14) is None
    assert encode_after(done[6:7], 0, done, 14) == encode_done(0, [*done[:2], done[6]])


def test_a_range_that_grew_beyond_the_room_is_named_as_it_was() -> None:
    before = [Range(2, 3)]
    assert encode_after(before, 0, [Range(2, 10_000)], 10) is not None
    longest = len(encode_done(0, before))
    assert encode_after(before, 0, [Range(2, 10_000)], longest) == encode_done(0, before)


def test_no_more_ranges_are_written_than_are_read() -> None:
    done = [Range(at, at + 1) for at in range(2, 10_002, 2)]
    found = decode_done(0, encode_done(0, done, CEILING))
    assert found == tuple(done[:4096])
    last = encode_after(done[4999:], 0, done, CEILING)
    assert decode_done(0, last) == (*done[:4095], done[4999])
