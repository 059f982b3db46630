"""The way in: an `App`, its handlers, and the end of the program."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

from rota.consumer.build import build
from rota.consumer.handlers import HandlerSpec
from rota.consumer.running import Running
from rota.consumer.settings import effective_config, shown
from rota.consumer.state import Limits, Observer
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from rota.consumer.client import Message
    from rota.consumer.context import Context
    from rota.consumer.ordering import NullKey, Order
    from rota.consumer.policy import Retry
    from rota.consumer.record import Record

__all__ = ["App"]

log = logging.getLogger("rota.consumer")


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
        self._specs: list[HandlerSpec] = []

    def handler(
        self, *topics: str, retry: Retry | None = None
    ) -> Callable[[Callable[[Record[bytes], Context], object]], Callable[[Record[bytes], Context], object]]:
        """Let a function handle the records of these topics: returning means done, raising that it failed."""
        if not topics:
            raise RotaError("a handler wants the name of a topic: @app.handler('orders')")
        for topic in topics:
            if any(topic in spec.topics for spec in self._specs):
                raise RotaError(f"the topic {topic} has two handlers: a record is handled once")

        def register(
            function: Callable[[Record[bytes], Context], object],
        ) -> Callable[[Record[bytes], Context], object]:
            self._specs.append(
                HandlerSpec(
                    name=getattr(function, "__name__", "handler"),
                    topics=topics,
                    function=function,
                    source=function,
                    order=self._order,
                    concurrency=self._concurrency,
                    null_key=self._null_key,
                    retry=retry,
                    decode=_value,
                )
            )
            return function

        return register

    def start(self) -> Running:
        """Begin in a thread of its own."""
        if not self._specs:
            raise RotaError("the app has no handler: decorate a function with @app.handler('topic')")
        log.info("the client's configuration: %s", shown(self._config))
        return Running(build(self._config, self._specs, limits=self._limits, observer=self._observer))

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


def _value(message: Message) -> Any:
    return message.value()
