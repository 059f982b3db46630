"""Records whose handler raised: their next attempt, their way to the dead-letter topic, or the end."""

from __future__ import annotations

import heapq
import itertools
import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from rota.consumer.client import Message
    from rota.consumer.lanes import Blocked
    from rota.consumer.state import Observer, Route

__all__ = ["DeadLetters", "Failures"]

log = logging.getLogger("rota.consumer")


class DeadLetters(Protocol):
    """Writes records to other topics; ``delivered`` is called in `serve`, with what went wrong or None."""

    def send(
        self,
        message: Message,
        failure: BaseException,
        attempts: int,
        topic: str,
        delivered: Callable[[str | None], None],
    ) -> None: ...

    def serve(self) -> None: ...


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
        self._in_a_row = 0

    def handle(self, route: Route, entry: Blocked, failure: BaseException, attempt: int, now_ms: int) -> None:
        """Decide about a record that has failed for the ``attempt``-th time."""
        decision = route.policy.decide(failure, attempt, self._random)
        self._observer.failed(entry.message, failure, attempt, decision.action)
        if decision.action == "retry":
            due_ms = now_ms + decision.wait_ms
            heapq.heappush(self._due, (due_ms, next(self._count), route, entry, attempt + 1))
        elif decision.action == "skip":
            route.lanes.settle(entry)
        elif decision.action == "dead-letter":
            self._send(route, entry, failure, attempt)
        else:
            self._stop(_told(entry.message, failure, attempt))

    def when_due(self, now_ms: int) -> None:
        """Begin the attempts whose time has come; hear of deliveries."""
        while self._due and self._due[0][0] <= now_ms:
            _, _, route, entry, attempt = heapq.heappop(self._due)
            if route.lanes.blocked.get(entry.order_key) is entry and not entry.stale:
                route.lanes.again(entry, attempt)
        self.serve()

    def serve(self) -> None:
        """Hear of deliveries."""
        if self._dead_letters is not None:
            self._dead_letters.serve()

    def next_ms(self) -> int | None:
        """When the next attempt is due."""
        return self._due[0][0] if self._due else None

    def _send(self, route: Route, entry: Blocked, failure: BaseException, attempt: int) -> None:
        assert route.policy.dead_letter is not None
        assert self._dead_letters is not None
        self._in_a_row += 1
        letter = route.policy.dead_letter
        if self._in_a_row > letter.limit:
            self._stop(
                f"{letter.limit} records in a row went to {letter.topic}; {_told(entry.message, failure, attempt)}"
            )
            return
        entry.sending = True

        def delivered(problem: str | None) -> None:
            entry.sending = False
            if route.lanes.blocked.get(entry.order_key) is not entry:
                return
            if entry.stale:
                route.lanes.release(entry)
            elif problem is None:
                route.lanes.settle(entry)
            else:
                self._stop(
                    f"{letter.topic} did not take a record: {problem}; {_told(entry.message, failure, attempt)}"
                )

        self._dead_letters.send(entry.message, failure, attempt, letter.topic, delivered)


def _told(message: Message, failure: BaseException, attempt: int) -> str:
    where = f"{message.topic()}-{message.partition()} at offset {message.offset()}"
    what = f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
    return f"the record in {where} failed {attempt} time{'s' if attempt > 1 else ''}, at last with {what}"
