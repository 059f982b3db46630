"""The owner thread: it alone calls the client, goes on polling whatever handlers do, and comes to an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from random import Random
from typing import Any

import pytest
from tests.consumer.fakes import FakeClient, FakeKafka, FakeMessage
from tests.consumer.stage import Stage
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer.clients.client import CommitError, Message
from rota.consumer.core import owner as owner_module
from rota.consumer.core.engine import Engine
from rota.consumer.core.lanes import Lanes
from rota.consumer.core.ordering import ordering_for
from rota.consumer.core.owner import OWNER, Owner
from rota.consumer.core.policy import Policy
from rota.consumer.core.state import Limits, Observer, Ours, Route
from rota.consumer.core.work import Task
from rota.consumer.workers.helped_threads import HelpedThreads
from rota.consumer.workers.runners import each
from rota.consumer.workers.threads import Threads
from rota.model import RotaError, TopicPartition

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


@pytest.fixture(autouse=True, params=[Threads, HelpedThreads])
def pool(request: pytest.FixtureRequest) -> type[Threads]:
    """Both kinds of workers: the owner of the second kind works as well, and is another thread when that takes long."""
    Desk.pool = request.param
    return Desk.pool


class BusyClient(FakeClient):
    """Answers commits at each poll, waits as a client does, and remembers who called and when it polled."""

    def __init__(self, kafka: FakeKafka) -> None:
        super().__init__(kafka)
        self.callers: set[int] = set()
        self.polled: list[float] = []
        self.to_come: list[Callable[[], None]] = [lambda: self.assign([P0, P1])]
        self.complaints: list[str] = []
        self.closing = threading.Event()
        self.may_close = threading.Event()
        self.may_close.set()

    def __getattribute__(self, name: str) -> Any:
        if name in {"consume", "commit", "commit_soon", "committed", "positions", "pause", "resume", "start"}:
            object.__getattribute__(self, "callers").add(threading.get_ident())
        return object.__getattribute__(self, name)

    def consume(self, most: int, timeout_s: float) -> Sequence[Message]:
        self.polled.append(time.monotonic())
        while self.to_come:
            self.to_come.pop(0)()
        self.answer()
        if self.complaints:
            return [FakeMessage(TopicPartition("", -1), -1, None, problem=self.complaints.pop(0))]
        found = self.fetch(most)
        if not found:
            time.sleep(timeout_s)
        return found

    def close(self) -> None:
        self.closing.set()
        self.may_close.wait(PATIENCE_S)


class Desk:
    pool: type[Threads] = Threads

    def __init__(
        self, handle: Callable[[Any, Any], object], observer: Observer | None, **limits: Any
    ) -> None:
        self.kafka = FakeKafka()
        self.client = BusyClient(self.kafka)
        ours = Ours()
        returned: SimpleQueue[Task] = SimpleQueue()
        work = each(handle, lambda message: message.value(), lambda task: task)
        self.workers = self.pool(4, work, returned, "worker")
        lanes = Lanes(ordering_for("key", 8, "partition"), self.workers.ready, ours.owns)
        route = Route("handle", lanes, self.workers, Policy())
        engine = Engine(
            self.client,
            {"orders": route},
            ours,
            returned,
            lambda: int(time.monotonic() * 1000),
            Random(1),
            limits=Limits(**{"commit_interval": 20, **limits}),
            observer=observer,
        )
        helped = [self.workers] if isinstance(self.workers, HelpedThreads) else []
        self.owner = Owner(self.client, engine, ["orders"], helped)
        self.ended: list[object] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.ended.append(self.owner.run())
        except Exception as problem:  # what the test asks for
            self.ended.append(problem)

    def gone(self, partition: TopicPartition) -> bool:
        """Whether it is no longer worked on, by the owner's own word."""
        message = FakeMessage(partition, 0, None)
        return not self.owner.ask(lambda engine: engine._ours.owns(message)).result(PATIENCE_S)

    def end(self) -> object:
        """What `Owner.run` returned, or raised."""
        self.thread.join(PATIENCE_S)
        return self.ended[0]


@contextmanager
def desk(
    handle: Callable[[Any, Any], object] = lambda _record, _context: None,
    observer: Observer | None = None,
    **limits: Any,
) -> Iterator[Desk]:
    made = Desk(handle, observer, **limits)
    made.thread.start()
    try:
        yield made
    finally:
        made.client.may_close.set()
        made.owner.stop()
        made.thread.join(PATIENCE_S)
        assert not made.thread.is_alive()


def test_only_the_owner_calls_the_client(pool: type[Threads]) -> None:
    with desk() as it:
        for number in range(200):
            it.kafka.produce(P0, b"%d" % (number % 7))
        wait_until("all is committed", lambda: it.kafka.committed.get(P0, (0,))[0] == 200)
        it.owner.ask(lambda engine: engine.pause(P0)).result(PATIENCE_S)
        wait_until("it is paused", lambda: P0 in it.client.paused)
        it.owner.ask(lambda engine: engine.resume(P0)).result(PATIENCE_S)
        wait_until("it is resumed", lambda: P0 not in it.client.paused)
    assert it.thread.ident not in it.client.callers
    assert len(it.client.callers) <= (2 if pool is HelpedThreads else 1)


def test_a_question_is_answered_by_the_owners_thread() -> None:
    with desk() as it:
        answered = it.owner.ask(lambda _engine: threading.get_ident()).result(PATIENCE_S)
        assert answered in it.client.callers


def test_whoever_is_called_by_the_owner_is_answered_at_once() -> None:
    said: list[object] = []

    class Asking(Observer):
        def assigned(self, partitions: Sequence[TopicPartition]) -> None:
            for at in partitions:
                it.owner.ask(lambda engine, at=at: engine.pause(at)).result()  # type: ignore[misc]
            said.append(it.owner.ask(lambda engine: sorted(engine.partitions)).result())
            said.append(it.owner.is_here)

        def revoked(self, _partitions: Sequence[TopicPartition]) -> None:
            said.append(it.owner.ask(lambda engine: sorted(engine.partitions)).result())

    it = Desk(lambda _record, _context: None, Asking())
    it.thread.start()
    wait_until("it is paused", lambda: it.client.paused == {P0, P1})
    assert not it.owner.is_here
    it.owner.stop()
    assert it.end() is None
    assert said == [[P0, P1], True, []]


def test_a_handler_is_answered_by_whoever_is_the_owner_then(pool: type[Threads]) -> None:
    """It may have been called by the owner, which is another thread soon; two at once must not decide."""
    answered: list[tuple[bool, bool]] = []

    def handle(_record: Any, _context: Any) -> None:
        here = it.owner.is_here
        by = it.owner.ask(lambda _engine: threading.get_ident()).result()
        answered.append((here, by == threading.get_ident()))

    with desk(handle) as it:
        for number in range(20):
            it.kafka.produce(P0, b"%d" % number)
            wait_until("it is answered", lambda: len(answered) > number)  # noqa: B023  # called here only
    assert answered == [(False, False)] * 20


def test_when_it_has_ended_its_thread_has_too() -> None:
    """A program that finds it alive at its end takes it for one that hangs in a call of the client."""

    with desk() as it:
        over = it.owner._over

        def late(is_over: Callable[[], None] = over.set) -> None:
            is_over()
            threading.Event().wait(0.05)  # time for who does not wait

        over.set = late  # type: ignore[method-assign]
        it.owner.stop()
        assert it.end() is None
        assert not any(thread.name == OWNER and thread.is_alive() for thread in it.owner._threads)


def test_what_a_question_raises_is_the_askers() -> None:
    def wrong(_engine: Engine) -> None:
        raise LookupError("no such thing")

    with desk() as it:
        with pytest.raises(LookupError, match="no such thing"):
            it.owner.ask(wrong).result(PATIENCE_S)
        assert it.owner.ask(lambda engine: engine.stopping).result(PATIENCE_S) is None


def test_after_the_end_there_is_no_answer() -> None:
    with desk() as it:
        it.owner.stop()
        assert it.end() is None
        with pytest.raises(RotaError, match="the consumer has ended"):
            it.owner.ask(lambda engine: engine.limits).result(PATIENCE_S)


def test_it_polls_and_answers_while_handlers_are_stuck_and_all_is_full() -> None:
    free = threading.Event()
    with desk(
        lambda _record, _context: free.wait(PATIENCE_S), in_flight=10, in_flight_per_partition=10
    ) as it:
        for number in range(100):
            it.kafka.produce(P0, b"%d" % number)
        wait_until("it is paused", lambda: it.client.paused == {P0, P1})
        polls = len(it.client.polled)
        wait_until("it polls on", lambda: len(it.client.polled) > polls + 3)
        turned = it.owner.turned_ms
        wait_until("it turns", lambda: it.owner.turned_ms > turned)
        reasons = it.owner.ask(lambda engine: engine.gates.reasons(it.owner.turned_ms)).result(PATIENCE_S)
        assert reasons[P0] == "10 records are under way (in_flight)"
        assert len(it.client.open[P0]) <= 10
        free.set()
        wait_until("all is committed", lambda: it.kafka.committed.get(P0, (0,))[0] == 100)


def test_the_end_finishes_what_has_begun_and_begins_nothing() -> None:
    begun, free = [], threading.Event()

    def handle(record: Any, _context: Any) -> None:
        begun.append(record.offset)
        free.wait(PATIENCE_S)

    with desk(handle) as it:
        for _ in range(10):
            it.kafka.produce(P0, b"one")
        wait_until("the first has begun", lambda: begun == [0])
        it.owner.stop()
        wait_until("its partition is no longer worked on", lambda: it.gone(P0))
        free.set()
        assert it.end() is None
    assert begun == [0]
    assert it.kafka.committed[P0].offset == 1
    assert it.client.closing.is_set()
    for thread in it.workers._threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_while_a_rebalance_waits_for_a_handler_questions_are_answered() -> None:
    begun, free = threading.Event(), threading.Event()

    def handle(_record: Any, _context: Any) -> None:
        begun.set()
        free.wait(PATIENCE_S)

    with desk(handle, revoke_drain=int(PATIENCE_S * 1000)) as it:
        it.kafka.produce(P0, b"one")
        assert begun.wait(PATIENCE_S)
        it.client.to_come.append(lambda: it.client.withdraw([P0], lost=False))
        wait_until("it is being taken", lambda: it.gone(P0))
        free.set()
        wait_until("it is committed", lambda: it.kafka.committed.get(P0, (0,))[0] == 1)


def test_a_stop_in_the_middle_of_a_rebalance_does_not_wait_for_the_rebalance_first() -> None:
    begun, free = threading.Event(), threading.Event()

    def handle(_record: Any, _context: Any) -> None:
        begun.set()
        free.wait(20 * PATIENCE_S)

    with desk(handle, revoke_drain=int(10_000 * PATIENCE_S), shutdown_drain=50) as it:
        it.kafka.produce(P0, b"one")
        assert begun.wait(PATIENCE_S)
        it.client.to_come.append(lambda: it.client.withdraw([P0], lost=False))
        wait_until("it is being taken", lambda: it.gone(P0))
        it.owner.stop()
        assert it.end() is None
        free.set()
    assert it.kafka.committed.get(P0, (0,))[0] == 0


@pytest.mark.parametrize(("asked_ms", "ended_ms"), [(300, 1_300), (9_500, 10_500)])
def test_handlers_have_the_drain_of_the_end_once_from_when_it_was_asked_for(
    asked_ms: int, ended_ms: int
) -> None:
    stage = Stage(revoke_drain=10_000, shutdown_drain=1_000, order="partition")
    stage.produce(["a"])
    stage.produce(["b"], P1)
    stage.stuck = {0, 1000}
    stage.fetch()
    stage.work()

    def asked() -> None:
        if stage.clock.now >= asked_ms:
            stage.engine.hurry()

    stage.engine.meanwhile = asked
    began_ms = stage.clock.now
    stage.client.withdraw([P0], lost=False)
    assert stage.clock.now - began_ms <= min(ended_ms, 10_000) + 50
    assert not stage.engine.finish()
    assert ended_ms <= stage.clock.now <= ended_ms + 50  # it is asked every 50 ms


def test_commits_are_tried_again_for_so_long_once_from_the_end_of_the_drain() -> None:
    stage = Stage(revoke_drain=10_000, shutdown_drain=1_000, commit_interval=60_000, commit_every=1_000)
    stage.produce(["a"])
    stage.produce(["b"], P1)
    stage.fetch()
    stage.work()
    stage.tick()
    stage.client.commits_fail = [CommitError("the coordinator is away") for _ in range(1_000)]
    stage.engine.hurry()
    stage.client.withdraw([P0], lost=False)
    assert not stage.engine.finish()
    assert stage.clock.now <= 6_100


def test_an_error_that_is_the_end_stops_it_with_the_reason() -> None:
    heard: list[tuple[str, bool]] = []

    class Heard(Observer):
        def client_error(self, words: str, *, final: bool) -> None:
            heard.append((words, final))

    with desk(observer=Heard()) as it:
        it.client.complaints += ["no broker answers", "final: no right to read orders"]
        assert it.end() == "final: no right to read orders"
    assert heard == [("no broker answers", False), ("final: no right to read orders", True)]


def test_what_the_client_raises_is_raised_and_the_client_closed() -> None:
    def broken() -> None:
        raise OSError("out of file descriptors")

    with desk() as it:
        it.client.to_come.append(broken)
        assert repr(it.end()) == "OSError('out of file descriptors')"
    assert it.client.closing.is_set()


def test_a_client_that_does_not_close_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_module, "_CLOSE_S", 0.05)
    with desk() as it:
        it.client.may_close.clear()
        it.owner.stop()
        assert it.end() is None
        assert it.client.closing.is_set()
