"""Progress against a set of offsets."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.consumer.core.progress import Range, beyond, join_ranges, progress

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def offsets(ranges: tuple[Range, ...] | list[Range]) -> set[int]:
    return {at for first, end in ranges for at in range(first, end)}


ranges = st.lists(
    st.builds(lambda first, more: Range(first, first + more), st.integers(0, 60), st.integers(1, 9))
)


@relaxed
@given(st.sets(st.integers(0, 40)), st.integers(0, 60), ranges)
def test_it_is_what_a_set_says(undone: set[int], position: int, kept: list[Range]) -> None:
    undone = {at for at in undone if at < position}
    kept = list(join_ranges(kept))
    offset, done = progress(undone, position, kept)
    everything = (set(range(position)) - undone) | {at for at in offsets(kept) if at >= position}
    expected = next(at for at in range(1_000) if at not in everything)
    assert offset == expected
    assert offsets(done) == {at for at in everything if at > offset}
    assert list(done) == list(join_ranges(done)), "in order, and none touches another"
    assert all(first > offset for first, _ in done)


@relaxed
@given(st.sets(st.integers(0, 40), min_size=1), st.sets(st.integers(0, 40)), st.integers(41, 60))
def test_the_quick_look_finds_the_same_offset_and_claims_no_more(
    before: set[int], finished: set[int], position: int
) -> None:
    known = progress(before, position)
    now = before - finished
    exact = progress(now, position)
    quick = beyond(min(now, default=position), known.done, position, [])
    assert quick.offset == exact.offset
    assert offsets(quick.done) <= offsets(exact.done)
    assert all(first > quick.offset for first, _ in quick.done)


@relaxed
@given(ranges)
def test_joined_ranges_have_the_same_offsets_and_do_not_touch(given_: list[Range]) -> None:
    joined = join_ranges(given_)
    assert offsets(joined) == offsets(given_)
    assert all(one.end < other.first for one, other in itertools.pairwise(joined))
