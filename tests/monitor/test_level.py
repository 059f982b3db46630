"""Levels of a lag: worked examples, and what must hold for any window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.monitor.level import DEFAULT, judge, rates_of, trend
from rota.monitor.view import Level


def times(count: int, every_ms: int = 10_000) -> list[int]:
    return [number * every_ms for number in range(count)]


def level(lags: list[int], produced: float | None = None, late_s: float | None = None) -> Level:
    return judge(lags, times(len(lags)), produced, late_s)[0]


def test_one_look_says_nothing() -> None:
    assert level([0]) is level([5_000_000]) is Level.UNKNOWN


def test_nothing_left_at_one_of_the_last_two_looks_is_caught_up() -> None:
    assert level([900, 0]) is level([0, 900]) is level([5, 5, 5, 0, 4]) is Level.CAUGHT_UP


def test_what_comes_in_ten_seconds_is_caught_up() -> None:
    assert level([5_000, 9_000, 2_000, 8_000], produced=1_000.0) is Level.CAUGHT_UP
    assert level([15_000, 19_000, 12_000, 18_000], produced=1_000.0) is Level.STABLE


def test_a_short_window_tells_no_trend() -> None:
    assert judge([1_000, 2_000, 3_000, 4_000], times(4, 1_000), None, None)[0] is Level.UNKNOWN
    assert level([1_000, 2_000, 3_000]) is Level.UNKNOWN
    assert level([1_000, 2_000, 3_000, 4_000]) is Level.GROWING


def test_a_client_that_commits_every_five_seconds_is_no_trend() -> None:
    saw = [1_000 * (number % 5) + 500_000 for number in range(60)]
    assert trend(saw) == 0
    assert [trend(saw[first : first + 20]) for first in range(30)] == [0] * 30


def test_a_slow_leak_under_a_saw_is_growth() -> None:
    leak = [1_000 * (number % 5) + 50_000 + 300 * number for number in range(60)]
    assert trend(leak) == 1
    assert trend(leak[::-1]) == -1


def test_very_large_is_by_time_and_by_records_where_time_is_unknown() -> None:
    assert level([10] * 5, late_s=901.0) is Level.VERY_LARGE
    assert level([200_000] * 5, late_s=30.0) is Level.STABLE
    assert level([200_000] * 5) is Level.VERY_LARGE
    assert level([0, 200_000], late_s=5_000.0) is Level.CAUGHT_UP


def test_the_lag_is_gone_when_the_gain_has_eaten_it() -> None:
    falling = rates_of([50_000, 40_000, 30_000, 20_000], times(4), 500.0, 1_500.0, 20.0)
    assert (falling.level, falling.eta_s) == (Level.FALLING, 20.0)
    assert rates_of([20_000] * 4, times(4), 500.0, 500.0, None).eta_s is None
    assert rates_of([5, 0], times(2), 5.0, 5.5, None).eta_s == 0.0


@given(st.integers(4, 40), st.integers(1, 1_000_000), st.integers(0, 10_000_000), st.sampled_from([1, -1]))
def test_whatever_goes_steadily_has_that_trend(looks: int, step: int, least: int, way: int) -> None:
    lags = [least + step * number for number in range(looks)][::way]
    half = looks // 2
    material = step * (looks - half) > DEFAULT.least_change * 1.01 * max(lags)
    if material:
        assert trend(lags) == way


@given(st.lists(st.integers(0, 10**12), min_size=4, max_size=40))
def test_a_trend_backwards_is_the_opposite(lags: list[int]) -> None:
    assert trend(lags[::-1]) == -trend(lags)


@given(st.lists(st.integers(1, 10**9), min_size=4, max_size=40), st.integers(2, 1_000))
def test_the_unit_of_a_lag_does_not_matter(lags: list[int], unit: int) -> None:
    assert trend([lag * unit for lag in lags]) == trend(lags)


@given(st.integers(1, 10**9), st.integers(4, 40))
def test_a_constant_lag_is_stable_or_very_large(lag: int, looks: int) -> None:
    assert level([lag] * looks, late_s=1.0) is Level.STABLE
    assert level([lag] * looks) is (Level.VERY_LARGE if lag > DEFAULT.very_large_records else Level.STABLE)


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=40),
    st.none() | st.floats(0, 1e9),
    st.none() | st.floats(0, 1e9),
    st.none() | st.floats(0, 1e9),
)
def test_no_window_breaks_it_and_the_eta_belongs_to_the_trend(
    lags: list[int], produced: float | None, consumed: float | None, late_s: float | None
) -> None:
    found = rates_of(lags, times(len(lags)), produced, consumed, late_s)
    if lags[-1] == 0:
        assert found.eta_s == 0.0
        assert found.level in {Level.CAUGHT_UP, Level.UNKNOWN}
    if found.level is Level.GROWING:
        assert found.eta_s is None
    if found.eta_s is not None:
        assert found.eta_s >= 0
