"""Around a handler's call: a stop-watch, a span, a line in the timeline; only what was asked for is there.
None of them can make a record fail: its work is done by then.

A handler that runs in other processes is called there: of it these know nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rota.consumer.operations.counts import BOUNDS
from rota.consumer.operations.harmless import Harmless
from rota.consumer.workers.runners import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from rota.consumer.clients.client import Message
    from rota.consumer.handlers import HandlerSpec
    from rota.consumer.operations.counts import Durations
    from rota.consumer.operations.timeline_observer import TimelineObserver
    from rota.consumer.otel import Telemetry

    Function = Callable[[Any, Any], Any]

__all__ = ["instrument", "timed"]


def instrument(
    spec: HandlerSpec,
    *,
    durations: Durations | None = None,
    telemetry: Telemetry | None = None,
    timeline: TimelineObserver | None = None,
) -> HandlerSpec:
    """The same handler, watched."""
    if spec.workers == "processes":
        return spec
    function, is_async = spec.function, spec.kind == "async"
    if telemetry is not None:
        function = _traced(function, telemetry, batch=spec.batch is not None, is_async=is_async)
    if durations is not None:
        function = (_timed_async if is_async else timed)(function, durations)
    if timeline is not None:
        function = _recorded(function, timeline, is_async=is_async)
    return replace(spec, function=function)


def timed(function: Function, durations: Durations) -> Function:
    """A function whose calls are timed: `Durations.add`, written out, for this is on the way of every record."""
    clock, mine, new_cells, least = perf_counter, durations.mine, durations.cells, BOUNDS[0]

    def call(record: Any, context: Any) -> Any:
        began = clock()
        try:
            return function(record, context)
        finally:
            seconds = clock() - began
            try:
                cells = mine.cells
            except AttributeError:
                cells = new_cells()
            cells[0 if seconds <= least else bisect_left(BOUNDS, seconds)] += 1
            cells[-1] += seconds

    return call


def _timed_async(function: Function, durations: Durations) -> Function:
    async def call(record: Any, context: Any) -> Any:
        began = perf_counter()
        try:
            return await function(record, context)
        finally:
            durations.add(perf_counter() - began)

    return call


def _traced(function: Function, telemetry: Telemetry, *, batch: bool, is_async: bool) -> Function:
    harmless = Harmless("OpenTelemetry")

    def call(record: Any, context: Any) -> Any:
        with _Call(telemetry, harmless, record, context.attempt, batch=batch):
            return function(record, context)

    async def call_async(record: Any, context: Any) -> Any:
        with _Call(telemetry, harmless, record, context.attempt, batch=batch):
            return await function(record, context)

    return call_async if is_async else call


class _Call:
    """One call of a handler, in a span and measured; neither changes what comes of it."""

    __slots__ = ("_attempt", "_batch", "_began", "_harmless", "_messages", "_span", "_telemetry")

    def __init__(
        self, telemetry: Telemetry, harmless: Harmless, record: Any, attempt: int, *, batch: bool
    ) -> None:
        self._telemetry = telemetry
        self._harmless = harmless
        self._messages = _messages(record)
        self._attempt = attempt
        self._batch = batch

    def __enter__(self) -> None:
        self._span = self._harmless(self._begun)
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._began
        if self._span is not None:
            self._harmless(self._span.__exit__, kind, failure, trace)
        self._harmless(self._telemetry.measured, self._messages, seconds, failure)

    def _begun(self) -> AbstractContextManager[None]:
        span = self._telemetry.span(self._messages, self._attempt, batch=self._batch)
        span.__enter__()
        return span


def _recorded(function: Function, timeline: TimelineObserver, *, is_async: bool) -> Function:
    harmless = Harmless("the timeline")

    def note(record: Any, answer: object) -> None:
        timeline.processed(_done(record, answer))

    def call(record: Any, context: Any) -> Any:
        answer = function(record, context)
        harmless(note, record, answer)
        return answer

    async def call_async(record: Any, context: Any) -> Any:
        answer = await function(record, context)
        harmless(note, record, answer)
        return answer

    return call_async if is_async else call


def _messages(record: Any) -> Sequence[Message]:
    """Of a record, or of a batch of them."""
    several: Sequence[Message] | None = getattr(record, "messages", None)
    return several if several is not None else (record.message,)


def _done(record: Any, answer: object) -> Sequence[Message]:
    """Those that are done by this answer: a batch handler may have done a part."""
    messages = _messages(record)
    if isinstance(answer, Done):
        return [message for message in messages if message.offset() <= answer.record.offset]
    return messages
