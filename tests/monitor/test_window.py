"""The window of looks at a group: what it keeps when the clock is set back."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitor.snapshots import START_MS, look

from rota.monitor.looks import views
from rota.monitor.window import Window

SPAN_MS, POINTS = 600_000, 20


@settings(deadline=None)
@given(
    st.lists(st.integers(-2 * SPAN_MS, SPAN_MS) | st.integers(0, SPAN_MS // POINTS), min_size=1, max_size=60)
)
def test_whatever_the_clock_does_a_window_is_in_order_and_ends_with_the_newest_look(steps: list[int]) -> None:
    window = Window(SPAN_MS, POINTS)
    at_ms = 0
    for number, step in enumerate(steps):
        at_ms += step
        window.add(at_ms, *(array("q", [number]) for _ in range(3)))
        assert window.at_ms == sorted(window.at_ms)
        assert window.at_ms[-1] == at_ms
        assert window.at_ms[0] >= at_ms - SPAN_MS
        assert len(window.at_ms) <= POINTS + 1
        assert {len(each) for each in (window.commits, window.ends, window.lags)} == {len(window.at_ms)}
        assert window.lags[-1] == array("q", [number])


def test_a_clock_that_was_set_back_makes_no_rate_negative() -> None:
    at_ms = START_MS
    snapshots = []
    for number, step in enumerate((0, 10_000, 10_000, -25_000, 10_000, 10_000)):
        at_ms += step
        snapshots.append(look(f"group a\na-0 {10 + number}/{100 + 2 * number}", at_ms))
    set_back = views(snapshots[:4])["a"].totals.rates
    assert (set_back.produced_per_s, set_back.consumed_per_s) == (None, None)
    since = views(snapshots)["a"].totals.rates
    assert (since.produced_per_s, since.consumed_per_s) == (0.2, 0.1)


@pytest.mark.parametrize("commits", ["moves", "stands"])
def test_a_clock_that_was_set_back_begins_the_small_chart_anew(commits: str) -> None:
    """A line that goes back in time is none."""
    at_ms = START_MS
    snapshots = []
    for number, step in enumerate((0, 10_000, 10_000, -25_000, 10_000)):
        at_ms += step
        offset = 10 + (number if commits == "moves" else 0)
        snapshots.append(look(f"group a\na-0 {offset}/{offset}", at_ms))
    assert [each[0] for each in views(snapshots)["a"].history] == [at_ms - 10_000, at_ms]
