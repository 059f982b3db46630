"""The owner calls handlers that take no time itself, and somebody else is the owner when one takes long."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from random import Random
from typing import Any, Self

import pytest
from tests.consumer.fakes import FakeClient, FakeKafka
from tests.consumer.messages import SomeMessage
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer.clients.client import Message
from rota.consumer.core import turns
from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ordering_for
from rota.consumer.core.owner import OWNER, STAND_IN, Owner
from rota.consumer.core.policy import Policy
from rota.consumer.core.state import Limits, Ours, Route
from rota.consumer.core.work import Lane, Task
from rota.consumer.workers import helped_threads
from rota.consumer.workers.helped_threads import HelpedThreads
from rota.consumer.workers.runners import each
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)
COUNT = 3


class OneAtATime(FakeClient):
    """Notes when two threads ask it at once; waits a little where there is nothing."""

    def __init__(self, kafka: FakeKafka) -> None:
        super().__init__(kafka)
        self.inside = threading.Lock()
        self.polls = 0
        self.together = 0
        self.is_ours = False
        self.is_time: Callable[[], bool] = lambda: True

    def consume(self, most: int, timeout_s: float) -> Sequence[Message]:
        if not self.inside.acquire(blocking=False):
            self.together += 1
            return ()
        try:
            self.polls += 1
            if not self.is_ours:
                self.is_ours = True
                self.assign([P0])
            self.answer()
            found = self.fetch(min(most, 5)) if self.is_time() else ()
            if not found:
                time.sleep(min(timeout_s, 0.001))
            return found
        finally:
            self.inside.release()


class Member:
    """A group member with ``COUNT`` workers on a fake Kafka."""

    def __init__(self, handle: Callable[[Any, Any], object], **limits: Any) -> None:
        self.kafka = FakeKafka()
        self.client = OneAtATime(self.kafka)
        ours, returned = Ours(), SimpleQueue[Task]()
        self.workers = HelpedThreads(
            COUNT, each(handle, lambda message: message.value(), lambda task: task), returned, "worker"
        )
        lanes = Lanes(ordering_for("key", 8, "partition"), self.workers.ready, ours.owns)
        engine = Engine(
            self.client,
            {"orders": Route("handle", lanes, self.workers, Policy())},
            ours,
            returned,
            lambda: int(time.monotonic() * 1000),
            Random(1),
            limits=Limits(**{"commit_interval": 5, "commit_spacing": 1, **limits}),
        )
        self.owner = Owner(self.client, engine, ["orders"], [self.workers])
        self.why: list[str | None] = []
        self.thread = threading.Thread(target=lambda: self.why.append(self.owner.run()), daemon=True)
        self.thread.start()

    def produce(self, key: bytes = b"key") -> None:
        self.kafka.produce(P0, key)

    @property
    def committed(self) -> int:
        return self.kafka.committed.get(P0, (0,))[0]

    def wait_for_all(self) -> None:
        wait_until("all is committed", lambda: self.committed == self.kafka.ends[P0])

    def end(self) -> None:
        self.owner.stop()
        self.thread.join(PATIENCE_S)
        assert self.why == [None]


@contextmanager
def member(handle: Callable[[Any, Any], object], **limits: Any) -> Iterator[Member]:
    made = Member(handle, **limits)
    try:
        yield made
    finally:
        made.end()
    assert not made.client.together, "two owners at once"


def is_owner() -> bool:
    """Or was, when it began."""
    return threading.current_thread().name in {OWNER, STAND_IN}


def until_the_owner_works(it: Member, worked: Callable[[], bool]) -> None:
    """Records one by one, until one was handled by the owner: before that nobody stands by."""
    deadline = time.monotonic() + PATIENCE_S
    while not worked():
        assert time.monotonic() < deadline, "the owner never worked"
        it.produce()
        it.wait_for_all()


def test_the_owner_calls_handlers_that_take_no_time() -> None:
    by_owner = []
    with member(lambda _record, _context: by_owner.append(is_owner())) as it:
        until_the_owner_works(it, lambda: True in by_owner)


def test_while_a_handler_does_not_return_somebody_else_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helped_threads, "_FIRST_PAUSE_NS", 1)
    monkeypatch.setattr(helped_threads, "_LONGEST_PAUSE_NS", 1)
    by_owner, free = [], threading.Event()
    stuck, others = [], []

    def handle(record: Any, _context: Any) -> None:
        by_owner.append(is_owner())
        if record.key == b"stuck":
            stuck.append(is_owner())
            assert free.wait(PATIENCE_S)
        elif stuck:
            others.append(is_owner())

    with member(handle, slow=10_000) as it:
        while True not in stuck:  # a worker may have it, if the owner has just been slow
            free.clear()
            until_the_owner_works(it, lambda: by_owner[-1:] == [True])
            it.produce(b"stuck")
            wait_until("it has begun", lambda: stuck)
            if True not in stuck:
                stuck.clear()
                free.set()
                it.wait_for_all()
        polls = it.client.polls
        number = 0
        while True not in others:  # another stands by by now, and the owner works again
            number += 1
            key = b"%d" % number
            if (hash(key) - hash(b"stuck")) % 8:  # not in the lane of the one that is stuck
                handled = len(others)
                it.produce(key)
                wait_until("it is handled", lambda before=handled: len(others) > before)  # type: ignore[misc]
        wait_until("only one is at work", lambda: len(list(it.workers.current())) == 1)
        assert [task.messages[task.running].key() for task in it.workers.current()] == [b"stuck"]
        wait_until("it polls on", lambda: it.client.polls > polls + 3)
        assert it.owner.ask(lambda engine: engine.stopping).result(PATIENCE_S) is None
        free.set()
        it.wait_for_all()
        by_owner.clear()
        until_the_owner_works(it, lambda: True in by_owner)  # again, now that both are there


def test_a_handler_that_asks_the_owner_is_answered() -> None:
    answers = []
    with member(lambda _record, _context: answers.append((is_owner(), ask().result(PATIENCE_S)))) as it:

        def ask() -> Any:
            return it.owner.ask(lambda engine: engine.stopping)

        until_the_owner_works(it, lambda: (True, None) in answers)


def test_a_handler_that_never_returns_does_not_keep_the_end_waiting() -> None:
    free = threading.Event()
    by_owner: list[bool] = []

    def handle(record: Any, _context: Any) -> None:
        by_owner.append(is_owner())
        if record.key == b"stuck":
            free.wait(10 * PATIENCE_S)

    with member(handle, shutdown_drain=50) as it:
        until_the_owner_works(it, lambda: True in by_owner)
        done = it.committed
        count = len(by_owner)
        it.produce(b"stuck")
        wait_until("it has begun", lambda: len(by_owner) > count)
        it.end()
        assert it.committed == done
        free.set()


@pytest.mark.parametrize("look_s", [0.0, 0.0005])
def test_never_more_at_once_than_workers_and_nothing_lost_or_overtaken(
    look_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner is relieved again and again, in the middle of whatever it does."""
    monkeypatch.setattr(turns, "LOOK_S", look_s)
    monkeypatch.setattr(helped_threads, "_FIRST_PAUSE_NS", 100)
    monkeypatch.setattr(helped_threads, "_LONGEST_PAUSE_NS", 200)
    before = sys.getswitchinterval()
    random, lock = Random(3), threading.Lock()
    inside, most, owners = 0, 0, set[int]()
    done: defaultdict[bytes, list[int]] = defaultdict(list)

    def handle(record: Any, _context: Any) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            nap = random.choice([0, 0, 0, 0.0002, 0.001])
            if is_owner():
                owners.add(threading.get_ident())
        if nap:
            time.sleep(nap)
        with lock:
            inside -= 1
            done[record.key].append(record.offset)

    sys.setswitchinterval(1e-5)
    try:
        with member(handle) as it:
            # Often only when all have rested: else they are always busy, and the owner never works.
            it.client.is_time = lambda: not inside or random.random() < 0.02
            for number in range(4_000):
                it.produce(b"%d" % (number % 11))
            it.wait_for_all()
    finally:
        sys.setswitchinterval(before)
    assert most == COUNT
    assert len(owners) > 1
    for key in range(11):
        assert done[b"%d" % key] == list(range(key, 4_000, 11))


class Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def test_what_takes_long_is_left_to_the_workers_for_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic_ns", clock)
    takes_ns = [0]

    def work(task: Task) -> None:
        clock.now_ns += takes_ns[0]
        task.running = len(task.messages)

    workers = HelpedThreads(2, work, SimpleQueue(), "worker")  # none is started: what they get stays there

    def turn(lanes: int) -> bool:
        share = workers.keep()
        for _ in range(lanes):
            lane = Lane(0, taken=True)
            lane.tasks.append(Task((SomeMessage(0),), lane))
            workers.ready(lane)
        if share is None:
            return False
        share.begin()
        for _ in share.help():
            pass
        share.helped()
        return True

    def left() -> int:
        """The lanes that workers have got; they have gone through them."""
        count = workers._ready.qsize()
        for _ in range(count):
            workers._ready.get()
            workers._let_go[0] += 1
        return count

    assert turn(5)
    assert left() == 0
    assert workers.completed == 5
    takes_ns[0] = 3_000_000
    assert turn(1)
    assert left() == 0
    assert not turn(0), "one that takes long by itself keeps the owner as well"
    clock.now_ns += 100_000_000
    takes_ns[0] = 0
    assert turn(1)
    takes_ns[0] = 1_500_000
    assert turn(5)
    assert left() == 3, "after 3 ms it has been long enough"
    pauses = []
    for _ in range(12):
        began_ns = clock.now_ns
        while not turn(0):
            clock.now_ns += 10_000_000
        pauses.append((clock.now_ns - began_ns) // 10_000_000)
        assert turn(5)
        assert left() == 3
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3000, 3000, 3000]
    clock.now_ns += 30_000_000_000
    takes_ns[0] = 0
    for _ in range(20):
        assert turn(5)
    takes_ns[0] = 1_500_000
    assert turn(5)
    clock.now_ns += 100_000_000
    assert left() == 3
    assert turn(5), "what took no time for a while is tried again soon"


class Slowly:
    """Workers whose work keeps the owner, until it is being relieved."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._out = threading.Event()
        self._relieved = threading.Event()

    def keep(self) -> Self:
        return self

    def begin(self) -> None: ...

    def help(self) -> Iterator[None]:
        yield
        assert self._out.wait(PATIENCE_S)

    def helped(self) -> None:
        raise AssertionError("it is no longer the owner")

    def relieve(self) -> None:
        self._out.set()
        self._relieved.wait(0.05)  # it must not come: time for what would be wrong
        self.told.append("relieve")

    def relieved(self) -> None:
        self.told.append("relieved")
        self._relieved.set()


def test_who_is_relieved_waits_until_all_is_handed_over() -> None:
    workers = Slowly()
    at = turns.Turns([workers])
    became = []
    other = threading.Thread(target=lambda: became.append(at.stand_by()), daemon=True)
    other.start()
    wait_until("it stands by", lambda: at._is_there)
    at.keep()
    assert not at.help()
    other.join(PATIENCE_S)
    assert became == [True]
    assert workers.told == ["relieve", "relieved"]
    at.end()
    assert not at.stand_by()


def test_of_several_the_last_is_relieved_first() -> None:
    """Else the owner might go on from a handler whose worker rests for it to one that never returns."""
    told: list[str] = []

    class Named(Slowly):
        def __init__(self, name: str) -> None:
            super().__init__()
            self._name = name

        def relieve(self) -> None:
            told.append(self._name)
            for share in both:
                share._out.set()

    both = [Named("first"), Named("second")]
    at = turns.Turns(both)
    other = threading.Thread(target=at.stand_by, daemon=True)
    other.start()
    wait_until("it stands by", lambda: at._is_there)
    at.keep()
    assert not at.help()
    assert told == ["second", "first"]


class Looks(threading.Event):
    """What the one that stands by waits with between two looks: ``between`` is called instead."""

    def __init__(self, between: Callable[[], None]) -> None:
        super().__init__()
        self._between = between

    def wait(self, _timeout: float | None = None) -> bool:
        self._between()
        return self.is_set()


class Step(threading.Event):
    """Work that goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.wait(PATIENCE_S)


class Nothing:
    """Workers that have nothing to do, and take the time that they are told for that."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)

    def keep(self) -> Self:
        return self

    def begin(self) -> None: ...

    def help(self) -> Iterator[None]:
        self._steps.pop(0)()
        return iter(())

    def helped(self) -> None: ...

    def relieve(self) -> None:
        raise AssertionError("it was there all the time")

    relieved = relieve


def test_who_has_just_lent_its_turn_keeps_it() -> None:
    """Also if it did so when the other one looked, and nothing was to be done since then."""
    first, second = Step(), Step()
    lent = []
    at = turns.Turns([Nothing([first, second])])

    def owner() -> None:
        for _ in range(2):
            at.keep()
            lent.append(at.help())

    def between() -> None:
        if not first.is_set():
            first.set()
            assert second.begun.wait(PATIENCE_S)
            return
        second.set()
        thread.join(PATIENCE_S)
        at.end()

    at._is_there = True
    at._over = Looks(between)
    thread = threading.Thread(target=owner, daemon=True)
    thread.start()
    assert first.begun.wait(PATIENCE_S)
    assert not at.stand_by()
    assert lent == [True, True]


def a_lane() -> Lane:
    lane = Lane(0, taken=True)
    lane.tasks.append(Task((SomeMessage(0),), lane))
    return lane


def test_a_handler_that_keeps_the_owner_takes_no_worker_and_no_record_from_others() -> None:
    stay = Step()

    def stays(task: Task) -> None:
        stay()
        task.running = 1

    def needs_two() -> Callable[[Task], None]:
        both = threading.Barrier(2)

        def work(task: Task) -> None:
            both.wait(PATIENCE_S)
            task.running = 1

        return work

    before, it, behind = (
        HelpedThreads(2, work, SimpleQueue(), "worker") for work in (needs_two(), stays, needs_two())
    )
    others = [before, behind]
    at = turns.Turns([before, it, behind])
    still_owner = []

    def owner() -> None:
        wait_until("somebody stands by", lambda: at._is_there)
        at.keep()
        it.ready(a_lane())
        still_owner.append(at.help())

    thread = threading.Thread(target=owner, daemon=True)
    thread.start()
    assert at.stand_by()
    at.keep()
    for each_other in others:
        each_other.start()
        each_other.ready(a_lane())
        each_other.ready(a_lane())
    assert at.help()
    for each_other in others:
        wait_until("both are done", lambda other=each_other: other.completed == 2)  # type: ignore[misc]
    stay.set()
    thread.join(PATIENCE_S)
    assert still_owner == [False]
    assert it.completed == 1
    for each_other in others:
        each_other.close()


def test_who_was_relieved_leaves_the_rest_of_its_lane_to_the_workers() -> None:
    """Else that lane would have a thread of its own for as long as it is never empty, whatever others wait."""
    stay, by = Step(), list[threading.Thread]()  # their numbers may be used again

    def work(task: Task) -> None:
        by.append(threading.current_thread())
        if len(by) == 1:
            stay()
        task.running = 1

    workers = HelpedThreads(2, work, SimpleQueue(), "worker")
    at = turns.Turns([workers])

    def owner() -> None:
        wait_until("somebody stands by", lambda: at._is_there)
        at.keep()
        lane = a_lane()
        lane.tasks.append(Task((SomeMessage(1),), lane))
        workers.ready(lane)
        at.help()

    thread = threading.Thread(target=owner, daemon=True)
    thread.start()
    assert at.stand_by()
    stay.set()
    thread.join(PATIENCE_S)
    assert by == [thread]
    workers.start()
    wait_until("all is done", lambda: workers.completed == 2)
    wait_until("it is let go", lambda: workers._given == sum(workers._let_go))
    assert by[1:] != [thread]
    workers.close()


def test_nothing_is_kept_while_as_many_are_at_work_as_were_asked_for() -> None:
    workers = HelpedThreads(2, lambda _task: None, SimpleQueue(), "worker")
    for _ in range(2):
        share = workers.keep()
        assert share is not None
        share.begin()
        workers.ready(Lane(0, taken=True))
        assert not list(share.help())
        share.helped()
    assert workers.keep() is None
    workers.start()
    wait_until("they are through", workers.keep)
    workers.close()
