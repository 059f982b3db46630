"""Records whose handler raised: their next attempt, their way to another topic, or the end."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rota.consumer.core.policy import SkipRecordError
from rota.consumer.failed.traces import exception_name, exception_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from rota.consumer.clients.client import Message
    from rota.consumer.core.lanes import Blocked
    from rota.consumer.core.policy import DeadLetter
    from rota.consumer.core.state import Observer, Route

__all__ = ["DeadLetters", "Delivery", "Failures", "Waiting"]

log = logging.getLogger("rota.consumer")


class Delivery:
    """Called, with what went wrong or None, when it is known what became of a record on its way."""

    __slots__ = ("_entry", "_told")

    def __init__(self, entry: Blocked, told: Callable[[str | None], None]) -> None:
        self._entry = entry
        self._told = told

    @property
    def wanted(self) -> bool:
        """Whether it still is to go: not if its partition was lost meanwhile. Ask before each sending."""
        return not self._entry.stale

    def __call__(self, problem: str | None) -> None:
        self._told(problem)


class DeadLetters(Protocol):
    """Writes records to other topics; ``delivered`` is called in `serve`."""

    def send(
        self,
        message: Message,
        failure: BaseException,
        attempts: int,
        topic: str,
        delivered: Delivery,
        wait_ms: int | None = None,
    ) -> None:
        """``attempts`` were made where the record is now. ``wait_ms``: ``topic`` is a retry topic, in which
        the record is due so much later.
        """
        ...

    def serve(self) -> None: ...


class Waiting(NamedTuple):
    """A record between two attempts; ``attempt`` is the next one, ``due_ms`` on the engine's clock."""

    message: Message
    attempt: int
    due_ms: int


class Failures:
    """``stop`` ends the consumer: what it is told becomes its error."""

    def __init__(
        self,
        dead_letters: DeadLetters | None,
        random: Random,
        observer: Observer,
        stop: Callable[[str], None],
    ) -> None:
        self._dead_letters = dead_letters
        self._random = random
        self._observer = observer
        self._stop = stop
        self._due: list[tuple[int, int, Route, Blocked, int]] = []
        self._count = itertools.count()
        self._tallies: dict[Route, _Tally] = {}
        self._gave_up = False
        self._more = 0

    def handle(self, route: Route, entry: Blocked, failure: BaseException, attempt: int, now_ms: int) -> None:
        """Decide about a record that has failed for the ``attempt``-th time."""
        message = entry.message
        decision = route.policy.decide(failure, attempt, self._random, message.topic())
        if decision.action == "later":
            log.info(
                "%s-%d at offset %d waits for %d ms: %s",
                message.topic(), message.partition(), message.offset(), decision.wait_ms, exception_text(failure),
            )  # fmt: skip
            heapq.heappush(self._due, (now_ms + decision.wait_ms, next(self._count), route, entry, attempt))
            return
        self._observer.failed(message, failure, attempt, decision.action)
        if decision.action == "retry":
            log.info("%s; again in %d ms", _told(message, failure, attempt), decision.wait_ms)
            due_ms = now_ms + decision.wait_ms
            heapq.heappush(self._due, (due_ms, next(self._count), route, entry, attempt + 1))
        elif decision.action == "skip":
            self._skip(route, entry, failure, attempt)
        elif decision.action == "retry-topic":
            log.info("%s; again from %s", _told(message, failure, attempt), decision.topic)
            self._send(route, entry, failure, attempt, decision.topic, decision.wait_ms)
        elif decision.action == "dead-letter":
            self._bury(route, entry, failure, attempt)
        else:
            told = _told(message, failure, attempt)
            self._give_up(told, failure, told)

    def when_due(self, now_ms: int) -> None:
        """Begin the attempts whose time has come; hear of deliveries."""
        while self._due and self._due[0][0] <= now_ms:
            _, _, route, entry, attempt = heapq.heappop(self._due)
            if _waits(route, entry):
                route.lanes.again(entry, attempt)
        self.serve()

    def serve(self) -> None:
        """Hear of deliveries."""
        if self._dead_letters is not None:
            self._dead_letters.serve()

    def next_ms(self) -> int | None:
        """When the next attempt is due."""
        return self._due[0][0] if self._due else None

    def waiting(self) -> Iterator[Waiting]:
        """The records that wait for their next attempt, in no order."""
        return (
            Waiting(entry.message, attempt, due_ms)
            for due_ms, _, route, entry, attempt in self._due
            if _waits(route, entry)
        )

    def forget(self) -> None:
        """Partitions went: keep nothing of their records."""
        self._due = [each for each in self._due if _waits(each[2], each[3])]
        heapq.heapify(self._due)

    def end(self) -> None:
        """Nothing is under way any more: say how many failed after the one that stopped the consumer."""
        if self._more:
            log.error("%d more failed meanwhile, and come again", self._more)
            self._more = 0

    def _give_up(self, told: str, failure: BaseException, why: str) -> None:
        if self._gave_up:  # was under way: the first is told, the others are counted
            self._more += 1
            return
        self._gave_up = True
        log.error("%s", told, exc_info=failure)
        self._stop(why)

    def _skip(self, route: Route, entry: Blocked, failure: BaseException, attempt: int) -> None:
        if not isinstance(failure, SkipRecordError):
            log.warning("skipped: %s", _told(entry.message, failure, attempt), exc_info=failure)
        elif route.policy.dead_letter is not None:
            self._tally(route).handled()
        self._settle(route, entry)

    def _bury(self, route: Route, entry: Blocked, failure: BaseException, attempt: int) -> None:
        letter = route.policy.dead_letter
        assert letter is not None
        told = _told(entry.message, failure, attempt)
        too_many = self._tally(route).count(route.workers.completed)
        if too_many:
            self._give_up(told, failure, f"{too_many}; {told}")
            return
        log.warning("%s; it goes to %s", told, letter.topic)
        self._send(route, entry, failure, attempt, letter.topic, None)

    def _send(
        self,
        route: Route,
        entry: Blocked,
        failure: BaseException,
        attempt: int,
        topic: str,
        wait_ms: int | None,
    ) -> None:
        """The record is done when the topic has it, and only if it is ours then."""
        assert self._dead_letters is not None
        entry.sending = True
        told = _told(entry.message, failure, attempt)

        def delivered(problem: str | None) -> None:
            entry.sending = False
            if route.lanes.blocked.get(entry.order_key) is not entry:
                return
            if entry.stale:
                route.lanes.release(entry)
            elif problem is None:
                self._settle(route, entry)
            else:
                self._stop(f"{topic} did not take a record: {problem}; {told}")

        delivery = Delivery(entry, delivered)
        try:
            self._dead_letters.send(entry.message, failure, attempt, topic, delivery, wait_ms)
        except Exception as broken:  # no producer can be made: what has begun is to be finished all the same
            log.exception("%s cannot be written to", topic)
            delivered(f"{exception_name(broken)}: {exception_text(broken)}")

    def _settle(self, route: Route, entry: Blocked) -> None:
        route.lanes.settle(entry)
        self._observer.settled(entry.message)

    def _tally(self, route: Route) -> _Tally:
        tally = self._tallies.get(route)
        if tally is None:
            assert route.policy.dead_letter is not None
            tally = self._tallies[route] = _Tally(route.policy.dead_letter)
        return tally


class _Tally:
    """How many of a handler's records become dead letters. Those that it handles are not counted here one by
    one: their workers' counters are compared from letter to letter.
    """

    def __init__(self, letter: DeadLetter) -> None:
        self._letter = letter
        self._in_a_row = 0
        self._completed = 0
        self._letters = 0
        self._recent: deque[int] = deque()  # for each letter, how many records there had been in all

    def handled(self) -> None:
        """A record needed no work: the handler works."""
        self._in_a_row = 0

    def count(self, completed: int) -> str:
        """One more, after ``completed`` records were handled in all; why it is too many, or nothing."""
        letter = self._letter
        if completed > self._completed:
            self._completed = completed
            self._in_a_row = 0
        self._in_a_row += 1
        self._letters += 1
        if self._in_a_row > letter.limit:
            return f"{letter.limit} records in a row went to {letter.topic} (limit)"
        if letter.max_ratio is None:
            return ""
        records = completed + self._letters
        self._recent.append(records)
        while self._recent[0] <= records - letter.window:
            self._recent.popleft()
        if len(self._recent) <= letter.max_ratio * letter.window:
            return ""
        return (
            f"{len(self._recent) - 1} of the last {letter.window:,} records went to {letter.topic} "
            f"(max_ratio {letter.max_ratio:g})"
        )


def _waits(route: Route, entry: Blocked) -> bool:
    return route.lanes.blocked.get(entry.order_key) is entry and not entry.stale


def _told(message: Message, failure: BaseException, attempt: int) -> str:
    where = f"{message.topic()}-{message.partition()} at offset {message.offset()}"
    if isinstance(failure, SystemExit):
        return f"sys.exit({failure.code!r}) was called for the record in {where}, which comes again"
    name, text = exception_name(failure), exception_text(failure)
    what = f"{name}: {text}" if text else name
    return f"the record in {where} failed {attempt} time{'s' if attempt > 1 else ''}, at last with {what}"
