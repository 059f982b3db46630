"""Deadlines by key, on a clock that the test owns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.broker.loop import Loop
from rota.broker.timers import Timers


class _Hand:
    """A clock moved by hand."""

    now = 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> _Hand:
    return _Hand()


@pytest.fixture
def timers(clock: _Hand) -> Iterator[Timers]:
    loop = Loop()
    made = Timers(loop, clock)
    yield made
    made.close()
    loop.close()


def test_a_deadline_that_has_passed_is_called_once(timers: Timers, clock: _Hand) -> None:
    called: list[str] = []
    timers.set("a", 1500, lambda: called.append("a"))
    timers.run_due()
    assert called == []
    clock.now = 1500
    timers.run_due()
    timers.run_due()
    assert called == ["a"]


def test_deadlines_are_called_in_their_order(timers: Timers, clock: _Hand) -> None:
    called: list[str] = []
    for name, deadline in [("c", 1300), ("a", 1100), ("b", 1200)]:
        timers.set(name, deadline, lambda name=name: called.append(name))  # type: ignore[misc]
    clock.now = 2000
    timers.run_due()
    assert called == ["a", "b", "c"]


def test_a_deadline_that_moved_is_called_at_its_new_time_only(timers: Timers, clock: _Hand) -> None:
    called: list[int] = []
    timers.set("a", 1100, lambda: called.append(1))
    timers.set("a", 1900, lambda: called.append(2))
    clock.now = 1500
    timers.run_due()
    assert called == []
    clock.now = 1900
    timers.run_due()
    assert called == [2]


def test_a_cancelled_deadline_is_not_called(timers: Timers, clock: _Hand) -> None:
    called: list[int] = []
    timers.set("a", 1100, lambda: called.append(1))
    timers.cancel("a")
    timers.cancel("never set")
    clock.now = 5000
    timers.run_due()
    assert called == []


def test_a_callback_may_set_and_cancel_deadlines(timers: Timers, clock: _Hand) -> None:
    called: list[str] = []

    def first() -> None:
        called.append("first")
        timers.cancel("third")
        timers.set("second", 1200, lambda: called.append("second"))

    timers.set("first", 1100, first)
    timers.set("third", 1300, lambda: called.append("third"))
    clock.now = 1400
    timers.run_due()
    assert called == ["first", "second"]


def test_deadlines_moved_often_do_not_pile_up(timers: Timers) -> None:
    for step in range(20_000):
        timers.set("busy", 2000 + step, lambda: None)
        timers.set("other", 3000 + step, lambda: None)
        timers.cancel("other")
    assert len(timers._heap) == 2


def test_deadlines_of_many_keys_that_are_cancelled_do_not_pile_up(timers: Timers) -> None:
    for number in range(20_000):
        timers.set(number, 30_000 - number, lambda: None)
        timers.set(number, 20_000 - number // 2, lambda: None)
        timers.cancel(number)
    assert len(timers._heap) < 3000
    assert len(timers._queued) < 3000


_KEYS = st.sampled_from("abc")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), _KEYS, st.integers(0, 20)),
        st.tuples(st.just("cancel"), _KEYS, st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.integers(0, 8)),
    ),
    max_size=40,
)


@given(_STEPS)
def test_what_is_called_is_what_a_look_at_every_deadline_would_call(
    steps: list[tuple[str, str, int]],
) -> None:
    loop, clock = Loop(), _Hand()
    timers = Timers(loop, clock)
    called: list[tuple[int, str]] = []
    expected: list[tuple[int, str]] = []
    deadlines: dict[str, int] = {}
    try:
        for step, key, number in [*steps, ("wait", "", 100)]:
            if step == "set":
                deadline = deadlines[key] = clock.now + number
                timers.set(key, deadline, lambda what=(deadline, key): called.append(what))  # type: ignore[misc]
            elif step == "cancel":
                deadlines.pop(key, None)
                timers.cancel(key)
            else:
                clock.now += number
                due = [(deadline, key) for key, deadline in deadlines.items() if deadline <= clock.now]
                expected += sorted(due)
                for _, gone in due:
                    del deadlines[gone]
                timers.run_due()
                called[-len(due) or len(called) :] = sorted(called[-len(due) or len(called) :])
                assert called == expected
    finally:
        timers.close()
        loop.close()
