"""A search over timestamps, and the cache of headers, against the logs that they ask about."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from rota.monitor.facts import BatchFacts
from rota.monitor.headers import Headers
from rota.monitor.search import LEAST_MS, PART, Searches
from rota.monitor.time_lag import AHEAD_MS

NOW_MS = 1_760_000_000_000
KEY = ("id", 0)

ages = st.lists(st.integers(0, 10 * 365 * 24 * 3_600_000), min_size=1, max_size=60).map(
    lambda found: sorted(NOW_MS - age for age in found)
)


def search(searches: Searches, times: list[int], position: int) -> int:
    """Ask until it ends; how often."""
    for rounds in range(60):
        asked = searches.next(KEY, position, NOW_MS)
        if asked is None:
            return rounds
        place = bisect_left(times, asked)
        answer = (place, times[place]) if place < len(times) else None
        searches.told(KEY, position, asked, answer, NOW_MS)
    raise AssertionError("the search does not end")


@given(ages, st.data())
def test_a_search_ends_soon_near_the_record_s_timestamp(times: list[int], data: st.DataObject) -> None:
    searches = Searches()
    positions = sorted(data.draw(st.lists(st.integers(0, len(times) - 1), min_size=1, max_size=4)))
    for position in positions:
        assert search(searches, times, position) <= 20
        found = searches.found(KEY, position)
        assert found is not None
        least, most = found
        assert least <= times[position] <= most
        assert most - least <= max(LEAST_MS, PART * (NOW_MS - least))


@given(ages)
def test_records_of_the_future_and_without_a_time_have_none(times: list[int]) -> None:
    future = Searches()
    search(future, [*times, NOW_MS + AHEAD_MS + 1], len(times))
    found = future.found(KEY, len(times))
    assert found is not None
    assert found[0] > NOW_MS + AHEAD_MS
    without = Searches()
    for _ in range(60):
        asked = without.next(KEY, 0, NOW_MS)
        if asked is None:
            break
        without.told(KEY, 0, asked, None, NOW_MS)
    assert without.found(KEY, 0) == (-1, -1)


def test_what_nobody_asks_about_is_forgotten() -> None:
    searches = Searches()
    search(searches, [NOW_MS - 5_000], 0)
    for _ in range(5):
        searches.begin()
    assert searches.found(KEY, 0) is None


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    st.lists(st.integers(0, 60), min_size=1, max_size=30),
)
def test_a_known_header_is_always_that_of_the_first_batch_from_a_position_on(
    shape: list[tuple[int, int, bool]], positions: list[int]
) -> None:
    """``shape``: of each batch its offsets, the hole before it, and whether it is a marker."""
    starts = accumulate((hole + length for length, hole, _ in shape), initial=0)
    log = [
        BatchFacts(at + hole, at + hole + length - 1, at, at, False, control, length, 80)
        for at, (length, hole, control) in zip(starts, shape, strict=False)
    ]
    end = log[-1].last_offset + 1
    headers = Headers()
    for number, position in enumerate(positions):
        headers.begin(NOW_MS + number)
        position %= end
        first = next(batch for batch in log if batch.last_offset >= position)
        known = headers.at(KEY, position)
        assert known in (None, first)
        beyond, found = headers.beyond_markers(KEY, position, end)
        between = [batch for batch in log if position <= batch.last_offset < beyond]
        assert all(batch.control for batch in between)
        if found is None and beyond < end:
            answer = next(batch for batch in log if batch.last_offset >= beyond)
            headers.told(KEY, beyond, end, answer, NOW_MS)
            assert headers.at(KEY, beyond) == answer
    assert len(headers) <= len(log)
