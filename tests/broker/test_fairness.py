"""Who pays for what takes the loop's time, and who may connect: as arithmetic, without sockets."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest

from rota.broker.admission import Admission
from rota.broker.closings import Closings
from rota.broker.fairness import Fairness
from rota.broker.loop import Loop
from rota.broker.request_memory import RequestMemory
from rota.broker.settings import Settings


class _Client:
    def __init__(self, last_active: float) -> None:
        self.last_active = last_active


class _Loop:
    """Keeps what is planned."""

    def __init__(self) -> None:
        self.planned: list[Callable[[], Any]] = []

    def call_later(self, _delay_s: float, callback: Callable[[], Any]) -> None:
        self.planned.append(callback)


def _charges(fairness: Fairness, greedy: Any, others: Any, turns: int) -> float:
    """The greedy one takes 2 ms as often as it may, in a loop where others work; its share of the time."""
    now = used = 0.0
    for _ in range(turns):
        for each in others:
            each.last_active = now
        wait_s = fairness.charge(greedy, now, now + 0.002, [greedy, *others])
        used += 0.002
        now += 0.002 + wait_s
    return used / now


def test_who_asks_much_gets_a_twentieth_of_the_time_while_others_work() -> None:
    greedy, other = _Client(0), _Client(0)
    assert _charges(Fairness(), greedy, [other], 2000) == pytest.approx(0.05, rel=0.1)


def test_many_who_ask_much_share_that_twentieth() -> None:
    fairness, other = Fairness(), _Client(0)
    greedy = [cast(Any, _Client(0)) for _ in range(10)]
    free_at = dict.fromkeys(range(10), 0.0)
    now, used = 0.0, Counter[int]()
    while now < 400:
        number = min(free_at, key=free_at.__getitem__)  # whoever may ask next, asks
        now = other.last_active = max(now, free_at[number])
        wait_s = fairness.charge(greedy[number], now, now + 0.002, [*greedy, cast(Any, other)])
        used[number] += 1
        now += 0.002
        free_at[number] = now + wait_s
    assert [count * 0.002 / now for count in used.values()] == [pytest.approx(0.005, rel=0.3)] * 10


def test_who_asked_much_and_has_paid_takes_nothing_from_the_others() -> None:
    fairness, other = Fairness(), _Client(0)
    former = [cast(Any, _Client(0)) for _ in range(20)]
    for each in former:
        for _ in range(60):
            fairness.charge(each, 0.0, 0.002, cast(Any, [*former, other]))
    greedy = _Client(1000)
    other.last_active = 1000
    assert fairness.charge(cast(Any, greedy), 1000.0, 1000.2, cast(Any, [greedy, other])) == pytest.approx(
        2.0
    )


def test_requests_that_take_long_are_no_exception() -> None:
    """While one is served, nobody else has a turn: those who worked before it count."""
    fairness, greedy, other = Fairness(), _Client(1000), _Client(1000)
    assert fairness.charge(cast(Any, greedy), 1000.0, 1000.5, cast(Any, [greedy, other])) == 5.0


def test_who_is_alone_is_never_held_up() -> None:
    greedy, idle = _Client(0), _Client(-10)
    fairness = Fairness()
    assert all(
        fairness.charge(cast(Any, greedy), turn, turn + 0.9, cast(Any, [greedy, idle])) == 0.0
        for turn in range(50)
    )


def test_who_asks_now_and_then_is_never_held_up() -> None:
    greedy, other = _Client(0), _Client(0)
    fairness = Fairness()
    for second in range(1, 100):
        other.last_active = second
        assert fairness.charge(cast(Any, greedy), second, second + 0.03, cast(Any, [greedy, other])) == 0.0


def test_an_address_may_have_so_many_connections() -> None:
    admission = Admission(
        Settings(
            {"max.connections.per.ip": "2", "max.connections.per.ip.overrides": "10.0.0.9:1, 10.0.0.7:3"}
        )
    )
    assert [admission.admit("10.0.0.1") is None for _ in range(3)] == [True, True, False]
    assert [admission.admit("10.0.0.9") is None for _ in range(2)] == [True, False]
    assert [admission.admit("10.0.0.7") is None for _ in range(4)] == [True, True, True, False]
    admission.left("10.0.0.1")
    assert admission.admit("10.0.0.1") is None


def test_an_override_that_cannot_be_read_is_told_and_the_others_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    overrides = "10.0.0.9:1,10.0.0.8,10.0.0.7:many"
    admission = Admission(Settings({"max.connections.per.ip.overrides": overrides}))
    assert [admission.admit("10.0.0.9") is None for _ in range(2)] == [True, False]
    assert admission.admit("10.0.0.8") is None
    assert "'10.0.0.7:many' of max.connections.per.ip.overrides" in caplog.text


def test_connections_come_no_faster_than_the_rate() -> None:
    admission = Admission(Settings({"max.connection.creation.rate": "10"}))
    now = 1000.0
    came = 0
    while now < 1010:
        wait_s = admission.wait_s(now)
        if wait_s:
            now += wait_s
            continue
        assert admission.admit("10.0.0.1") is None
        came += 1
    assert 100 <= came <= 120


def test_without_a_rate_a_crowd_may_come_at_once_but_no_flood() -> None:
    admission = Admission(Settings({}))
    came = 0
    while not admission.wait_s(1000.0):
        assert admission.admit("10.0.0.1") is None
        came += 1
    assert came == 2000
    assert not admission.wait_s(1001.0)


def test_who_sends_rubbish_comes_back_more_slowly() -> None:
    admission = Admission(Settings({"max.connection.creation.rate": "30"}))
    now, came = 1000.0, 0
    while now < 1010:
        wait_s = admission.wait_s(now)
        if wait_s:
            now += wait_s
            continue
        admission.admit("10.0.0.1")
        admission.left("10.0.0.1")
        admission.in_vain()
        came += 1
    assert 10 <= came <= 20


def test_a_crowd_that_sends_rubbish_is_smaller() -> None:
    admission = Admission(Settings({}))
    came = 0
    while not admission.wait_s(1000.0):
        admission.admit("10.0.0.1")
        admission.left("10.0.0.1")
        admission.in_vain()
        came += 1
    assert came < 2000 / 20


def test_rubbish_of_very_many_at_once_locks_nobody_out_for_long() -> None:
    admission = Admission(Settings({}))
    assert not admission.wait_s(1000.0)
    for _ in range(20_000):
        admission.in_vain()
    assert admission.wait_s(1000.5)
    assert not admission.wait_s(1001.5)


class _Holder:
    """Whoever was given room."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def close(self, reason: str) -> None:
        self.reasons.append(reason)


def test_a_large_request_that_never_ends_gives_way_to_one_that_needs_its_room() -> None:
    memory = RequestMemory(100)
    endless, slow, late = _Holder(), _Holder(), _Holder()
    assert memory.give(endless, 60, 1000.0)
    assert memory.give(slow, 40, 1030.0)
    assert not memory.give(late, 50, 1059.0)
    assert not endless.reasons
    assert memory.give(late, 50, 1061.0)
    assert "60 bytes" in endless.reasons.pop()
    assert not slow.reasons
    memory.give_back(slow)
    memory.give_back(late)
    assert memory.give(endless, 100, 1061.0)
    assert not memory.give(late, 1, 1061.0)


def test_a_large_request_may_take_its_time_while_nobody_needs_its_room() -> None:
    memory = RequestMemory(100)
    slow, other = _Holder(), _Holder()
    assert memory.give(slow, 60, 1000.0)
    assert memory.give(other, 40, 5000.0)
    assert not slow.reasons


def test_of_large_requests_that_grow_the_first_always_goes_on() -> None:
    memory = RequestMemory(100)
    first, second = _Holder(), _Holder()
    assert memory.give(first, 40, 1000.0)
    assert memory.give(second, 60, 1000.0)
    assert not memory.give(second, 61, 1001.0)
    assert memory.give(first, 160, 1001.0)
    memory.give_back(first)
    assert memory.give(second, 100, 1001.0)


def test_of_very_many_closings_the_log_tells_how_many(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loop = _Loop()
    closings = Closings(cast(Loop, loop))
    for number in range(1000):
        closings.tell(f"connection {number}: closed")
    assert len(caplog.records) == 20
    loop.planned.pop()()
    assert caplog.records[-1].getMessage() == "980 more connections have ended or were refused in 5 s"
    closings.tell("connection 1000: closed")
    assert caplog.records[-1].getMessage() == "connection 1000: closed"
