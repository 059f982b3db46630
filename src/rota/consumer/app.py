"""The way in: an `App`, its handlers, and the end of the program."""

from __future__ import annotations

import logging
import signal
import threading
import time
from queue import SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any, Self

from rota.consumer.engine import Engine
from rota.consumer.kafka import KafkaClient
from rota.consumer.lanes import Lanes
from rota.consumer.ordering import ordering_for
from rota.consumer.owner import Owner
from rota.consumer.policy import Policy, Retry
from rota.consumer.runners import each
from rota.consumer.settings import effective_config, shown
from rota.consumer.state import Limits, Observer, Ours, Route
from rota.consumer.threads import Threads
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

    from rota.consumer.client import Message
    from rota.consumer.ordering import NullKey, Order
    from rota.consumer.record import Record
    from rota.consumer.work import Task

__all__ = ["App", "Context", "Running"]

log = logging.getLogger("rota.consumer")

LANES_PER_WORKER = 4
"""So many lanes for a worker that few of them are idle while another has two waiting."""


class Context:
    """What a handler is told besides its record."""

    __slots__ = ("_ours", "_task")

    def __init__(self, ours: Ours, task: Task) -> None:
        self._ours = ours
        self._task = task

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._task.attempt

    @property
    def revoking(self) -> bool:
        """Whether the partition is being taken away: a handler may cut its work short."""
        message = self._task.messages[self._task.running]
        return not self._ours.owns(message)


class App:
    """A consumer in the making.

    ``config``: confluent-kafka's names, passed to the client as they are. ``order``: which records wait for
    each other: those of one ``"key"``, of one ``"partition"``, or ``"none"``. ``concurrency``: handlers
    that run at once, whatever the number of partitions. ``limits``: see `rota.consumer.Limits`. A mistake
    is a RotaError.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        order: Order = "key",
        concurrency: int = 16,
        null_key: NullKey = "partition",
        limits: Limits | None = None,
        observer: Observer | None = None,
    ) -> None:
        if concurrency < 1:
            raise RotaError(f"concurrency is {concurrency}; it must be 1 or more")
        self._config = effective_config(config)
        self._order: Order = order
        self._concurrency = concurrency
        self._null_key: NullKey = null_key
        self._limits = limits or Limits()
        self._observer = observer
        self._handlers: dict[str, tuple[Callable[[Record[bytes], Context], object], Policy]] = {}

    def handler(
        self, *topics: str, retry: Retry | None = None
    ) -> Callable[[Callable[[Record[bytes], Context], object]], Callable[[Record[bytes], Context], object]]:
        """Let a function handle the records of these topics: returning means done, raising that it failed."""

        def register(
            function: Callable[[Record[bytes], Context], object],
        ) -> Callable[[Record[bytes], Context], object]:
            for topic in topics:
                if topic in self._handlers:
                    raise RotaError(f"the topic {topic} has two handlers: a record is handled once")
                self._handlers[topic] = function, Policy(retry or Retry(attempts=1))
            return function

        if not topics:
            raise RotaError("a handler wants the name of a topic: @app.handler('orders')")
        return register

    def start(self) -> Running:
        """Begin in a thread of its own."""
        if not self._handlers:
            raise RotaError("the app has no handler: decorate a function with @app.handler('topic')")
        log.info("the client's configuration: %s", shown(self._config))
        return Running(self._owner())

    def run(self) -> None:
        """Consume until SIGTERM or SIGINT; then finish what has begun, commit and leave. Raises RotaError
        if it fails.
        """
        running = self.start()

        def stop(number: int, _frame: FrameType | None) -> None:
            log.info("%s: finishing what has begun", signal.Signals(number).name)
            running.stop_soon()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            running.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _owner(self) -> Owner:
        returned: SimpleQueue[Task] = SimpleQueue()
        ours = Ours()
        routes: dict[str, Route] = {}
        for topic, (function, policy) in self._handlers.items():
            known = next((routes[other] for other in routes if self._handlers[other][0] is function), None)
            routes[topic] = known or self._route(function, policy, ours, returned)
        client = KafkaClient(self._config, logging.getLogger("rota.consumer.client"))
        engine = Engine(
            client,
            routes,
            ours,
            returned,
            _monotonic_ms,
            Random(),  # noqa: S311  # spreads retries
            limits=self._limits,
            observer=self._observer,
        )
        return Owner(client, engine, list(routes))

    def _route(
        self,
        function: Callable[[Record[bytes], Context], object],
        policy: Policy,
        ours: Ours,
        returned: SimpleQueue[Task],
    ) -> Route:
        name = getattr(function, "__name__", "handler")
        work = each(function, _value, lambda task: Context(ours, task))
        workers = Threads(self._concurrency, work, returned, name)
        ordering = ordering_for(self._order, LANES_PER_WORKER * self._concurrency, self._null_key)
        workers.start()
        return Route(name, Lanes(ordering, workers.ready, ours.owns), workers, policy)


class Running:
    """A consumer at work; a context manager that stops it at the end."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._why: str | None = None
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rota-owner", daemon=True)
        self._thread.start()

    def stop_soon(self) -> None:
        """Ask it to stop; returns at once."""
        self._owner.stop()

    def stop(self) -> None:
        """Stop, and wait until what had begun is finished and committed."""
        self._owner.stop()
        self.wait()

    def wait(self) -> None:
        """Until it has ended. Raises RotaError if it did so by itself."""
        while self._thread.is_alive():
            self._thread.join(0.2)  # in pieces, so that signals are handled
        if self._broken is not None:
            raise self._broken
        if self._why is not None:
            raise RotaError(self._why)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._why = self._owner.run()
        except BaseException as broken:  # raised again for whoever waits
            self._broken = broken


def _value(message: Message) -> Any:
    return message.value()


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
