"""The way in: an `App` and its handlers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from rota.consumer.build import build
from rota.consumer.class_handlers import Handler, has_hooks, options_of, topics_of
from rota.consumer.collector import calm
from rota.consumer.core.state import Limits, Observer
from rota.consumer.handlers import OPTIONS
from rota.consumer.naming import check_known
from rota.consumer.operations.health import Health
from rota.consumer.operations.operations import Operations, Wishes
from rota.consumer.running import Running, StopSignals
from rota.consumer.settings import check_limits, differences, effective_config, shown
from rota.consumer.specs import Defaults, check_choice, check_count, check_topics, specify
from rota.consumer.workers.process_child import refuse_in_child
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Unpack

    from rota.consumer.core.ordering import NullKey, Order
    from rota.consumer.handlers import HandlerOptions, HandlerSpec, Hooks
    from rota.consumer.otel import OpenTelemetry

__all__ = ["App", "AppOptions"]

log = logging.getLogger("rota.consumer")

F = TypeVar("F", bound="Callable[..., Any]")
H = TypeVar("H", bound=Handler)


class AppOptions(TypedDict, total=False):
    """The options of ``App(…)``; see docs/consumer.md."""

    order: Order
    concurrency: int
    null_key: NullKey
    limits: Limits | None
    observer: Observer | None
    port: int | None
    host: str
    health: Health | None
    metrics: bool | None
    otel: OpenTelemetry | None
    timeline: Path | str | None


_OPTIONS = tuple(AppOptions.__annotations__)
_KINDS: dict[str, type] = {
    "limits": Limits,
    "observer": Observer,
    "health": Health,
    "port": int,
    "host": str,
    "metrics": bool,
}
_WORDS: dict[type, str] = {
    Observer: "an object of a class below Observer",
    int: "a number",
    str: "a name or an address",
    bool: "True or False",
}


class App:
    """A consumer in the making.

    ``config``: confluent-kafka's names, passed to the client as they are. ``order``: which records wait for
    each other: those of one ``"key"``, of one ``"partition"``, or ``"none"``. ``concurrency``: how many a
    handler works on at once, whatever the number of partitions. ``null_key``: whether records without a
    key wait for each other in their ``"partition"``, or not (``"none"``). ``limits``: see
    `rota.consumer.Limits`. All of these but ``limits`` can be said again for one handler. A mistake is a
    RotaError, at once or when the app starts.
    """

    def __init__(self, config: Mapping[str, Any], **options: Unpack[AppOptions]) -> None:
        check_known(options, _OPTIONS, "App", OPTIONS, "a handler's, @app.handler('topic', {}=…)")
        if not isinstance(config, Mapping):
            raise RotaError(f"App wants the client's configuration, a dict, first; not {config!r}")
        self.config: dict[str, Any] = dict(config)
        """As given. What the client gets is worked out when the app starts."""
        self._defaults = Defaults(
            options.get("order", "key"), options.get("concurrency", 16), options.get("null_key", "partition")
        )
        check_choice("App", "order", self._defaults.order)
        check_choice("App", "null_key", self._defaults.null_key)
        check_count("App", "concurrency", self._defaults.concurrency)
        for option, kind in _KINDS.items():
            given: object = options.get(option)
            if not (given is None or (isinstance(given, kind) and (kind is bool or given is not True))):
                raise RotaError(
                    f"App: {option} is {given!r}; it wants {_WORDS.get(kind) or f'{kind.__name__}(…)'}"
                )
        self._limits = options.get("limits") or Limits()
        self._observer = options.get("observer")
        self._wishes = Wishes(
            port=options.get("port"),
            host=options.get("host", "127.0.0.1"),
            health=options.get("health"),
            metrics=options.get("metrics"),
            otel=options.get("otel"),
            timeline=options.get("timeline"),
        )
        self._specs: list[HandlerSpec] = []

    @property
    def handlers(self) -> tuple[HandlerSpec, ...]:
        """What was registered, in that order."""
        return tuple(self._specs)

    def handler(self, *topics: str, **options: Unpack[HandlerOptions]) -> Callable[[F], F]:
        """Let a function handle the records of these topics: returning means done, raising that it failed.

        It takes (record) or (record, context), or Records if there is a ``batch``, and may be ``async``.
        A topic that begins with ^ is a regular expression. The options are in docs/consumer.md.
        """
        if len(topics) == 1 and callable(topics[0]):
            raise RotaError("a handler wants the name of a topic: @app.handler('orders')")

        def register(function: F) -> F:
            name = getattr(function, "__name__", type(function).__name__)
            self._register(name, function, topics, options, None, sys._getframe(1).f_locals)  # noqa: SLF001
            return function

        check_known(options, OPTIONS, "@app.handler", _OPTIONS, "the app's, App(config, {}=…)")
        return register

    def add(self, handler: H) -> H:
        """Let an object handle records: see `rota.consumer.Handler`."""
        if not isinstance(handler, Handler):
            raise RotaError(f"app.add wants an object of a class below Handler, not {handler!r}")
        name = type(handler).__name__
        process = getattr(handler, "process", None)
        if process is None:
            raise RotaError(f"{name} has no method process(self, record, context)")
        topics = topics_of(handler)
        if not topics:
            raise RotaError(f"{name} has no topics: topics = 'orders' in the class")
        hooks = handler if has_hooks(handler) else None
        self._register(name, process, topics, options_of(handler), hooks, sys._getframe(1).f_locals)  # noqa: SLF001
        return handler

    def override(
        self, config: Mapping[str, Any], *, port: int | None = None, host: str | None = None
    ) -> None:
        """What a command line says, which wins over the program."""
        self.config.update(config)
        if port is not None:
            self._wishes = replace(self._wishes, port=port)
        if host is not None:
            self._wishes = replace(self._wishes, host=host)

    def start(self) -> Running:
        """Begin in a thread of its own."""
        refuse_in_child()
        if not self._specs:
            raise RotaError("the app has no handler: decorate a function with @app.handler('topic')")
        config = effective_config(self.config)
        check_limits(self._limits, config)
        log.info("the client's configuration: %s", shown(config))
        for line in differences(config):
            log.info("set by Rota: %s", line)
        calm()
        operations = Operations(config, self._specs, self._wishes, self._observer)
        try:
            built = build(
                config,
                operations.specs,
                limits=self._limits,
                observer=operations.observer,
                watch=operations,
            )
        except BaseException as error:
            operations.close(str(error))
            raise
        running = Running(
            built.owner, operations, drain_ms=self._limits.shutdown_drain, closers=built.closers
        )
        if operations.port is not None:
            host = f"[{self._wishes.host}]" if ":" in self._wishes.host else self._wishes.host
            log.info(
                "http://%s:%d answers /health/live, /health/ready, /metrics and /state", host, operations.port
            )
        return running

    def run(self) -> None:
        """Consume until SIGTERM or SIGINT; then finish what has begun, commit and leave. A second signal ends
        at once. Raises RotaError if the consumer ends by itself.
        """
        with StopSignals() as signals:
            signals.run(self.start)

    def _register(
        self,
        name: str,
        function: Callable[..., Any],
        topics: tuple[str, ...],
        options: HandlerOptions,
        hooks: Hooks | None,
        names: Mapping[str, Any],
    ) -> None:
        checked = check_topics(name, topics, self._specs)
        taken = sum(spec.name.partition("-")[0] == name for spec in self._specs)
        unique = f"{name}-{taken + 1}" if taken else name
        spec = specify(unique, function, checked, dict(options), self._defaults, names=names, hooks=hooks)
        self._specs.append(spec)
