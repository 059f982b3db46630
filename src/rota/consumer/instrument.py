"""Around a handler's call: a stop-watch, a span, a line in the timeline; only what was asked for is there.

A handler that runs in other processes is called there: of it these know nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rota.consumer.counts import BOUNDS
from rota.consumer.runners import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.client import Message
    from rota.consumer.counts import Durations
    from rota.consumer.handlers import HandlerSpec
    from rota.consumer.otel import Telemetry
    from rota.consumer.timeline_observer import TimelineObserver

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
    span, measured = telemetry.span, telemetry.measured

    def call(record: Any, context: Any) -> Any:
        messages = _messages(record)
        failure: BaseException | None = None
        began = perf_counter()
        try:
            with span(messages, context.attempt, batch=batch):
                return function(record, context)
        except BaseException as error:
            failure = error
            raise
        finally:
            measured(messages, perf_counter() - began, failure)

    async def call_async(record: Any, context: Any) -> Any:
        messages = _messages(record)
        failure: BaseException | None = None
        began = perf_counter()
        try:
            with span(messages, context.attempt, batch=batch):
                return await function(record, context)
        except BaseException as error:
            failure = error
            raise
        finally:
            measured(messages, perf_counter() - began, failure)

    return call_async if is_async else call


def _recorded(function: Function, timeline: TimelineObserver, *, is_async: bool) -> Function:
    def call(record: Any, context: Any) -> Any:
        answer = function(record, context)
        timeline.processed(_done(record, answer))
        return answer

    async def call_async(record: Any, context: Any) -> Any:
        answer = await function(record, context)
        timeline.processed(_done(record, answer))
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
