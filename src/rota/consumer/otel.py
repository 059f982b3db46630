"""OpenTelemetry: metrics and spans with the names of its semantic conventions for messaging and Kafka (1.38).

Needs opentelemetry-api (the extra ``otel``), which is imported only here; where things go is the application's
choice, by the providers that it sets up. What the conventions have no name for begins with ``rota.consumer``,
but for the lag: that is called as the OpenTelemetry collector's receiver for Kafka calls it.

A span is made for every call of a handler. Of a single record, its parent is the span that the record came
from, which it is linked to as well; a batch is linked to those of all its records.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rota.consumer import tracing
from rota.consumer.clients.headers import headers_of
from rota.consumer.core.policy import SkipRecordError
from rota.consumer.failed.traces import exception_name, exception_text, trace_of
from rota.model import RotaError

try:
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.context import Context as Surroundings
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.propagators.textmap import Getter
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode
except ModuleNotFoundError as missing:
    raise RotaError("OpenTelemetry is not installed: pip install 'rota[otel]'") from missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from rota.consumer.clients.client import Message
    from rota.consumer.operations.counts import Counts
    from rota.consumer.operations.snapshot import PartitionState, State

    Rows = list[tuple[int, dict[str, Any]]]

__all__ = ["BOUNDARIES", "OpenTelemetry", "Telemetry"]

_SCOPE = "rota.consumer"
_SCHEMA = "https://opentelemetry.io/schemas/1.38.0"

BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds, as the conventions advise."""

_NUMBER_OF_PARTITION = "messaging.destination.partition.id"
_TOPIC = "messaging.destination.name"
_GROUP = "messaging.consumer.group.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTelemetry:
    """What an application asks for; a provider of None is the one that is set globally."""

    metrics: bool = True
    traces: bool = True
    meter_provider: MeterProvider | None = None
    tracer_provider: TracerProvider | None = None


class Telemetry:
    """The instruments of one consumer."""

    def __init__(self, options: OpenTelemetry, group: str, client_id: str) -> None:
        self._common: dict[str, Any] = {"messaging.system": "kafka", _GROUP: group}
        self._process: dict[str | None, dict[str, Any]] = {}
        self._client_id = client_id
        self._group = group
        self._tracer = (
            trace.get_tracer(_SCOPE, None, options.tracer_provider, _SCHEMA) if options.traces else None
        )
        self._meter = (
            metrics.get_meter(_SCOPE, "", options.meter_provider, _SCHEMA) if options.metrics else None
        )
        self._closed = False
        if self._meter is not None:
            self._durations = self._meter.create_histogram(
                "messaging.process.duration",
                "s",
                "Duration of processing operation.",
                explicit_bucket_boundaries_advisory=BOUNDARIES,
            )
            self._operations = self._meter.create_histogram(
                "messaging.client.operation.duration",
                "s",
                "Duration of messaging operation initiated by a producer or consumer client.",
                explicit_bucket_boundaries_advisory=BOUNDARIES,
            )

    def close(self) -> None:
        """Nothing is reported any more."""
        self._closed = True

    # Calls of handlers.

    def measured(self, messages: Sequence[Message], seconds: float, failure: BaseException | None) -> None:
        """A handler was called for these."""
        if self._meter is None:
            return
        topic = _topic_of(messages)
        attributes = self._process.get(topic)
        if attributes is None:
            attributes = {**self._common, **_where(topic), "messaging.operation.name": "process"}
            self._process[topic] = attributes
        if failure is not None and not isinstance(failure, SkipRecordError):
            attributes = {**attributes, "error.type": exception_name(failure)}
        self._durations.record(seconds, attributes)

    def span(self, messages: Sequence[Message], attempt: int, *, batch: bool) -> AbstractContextManager[None]:
        """Around the call of a handler."""
        return self._span(messages, attempt, batch=batch) if self._tracer is not None else _NO_SPAN

    @contextmanager
    def _span(self, messages: Sequence[Message], attempt: int, *, batch: bool) -> Iterator[None]:
        assert self._tracer is not None
        origins = [propagate.extract(_carrier(message), Surroundings(), _GETTER) for message in messages]
        contexts = [trace.get_current_span(origin).get_span_context() for origin in origins]
        where = _where(_topic_of(messages))
        with self._tracer.start_as_current_span(
            f"process {where[_TOPIC]}" if _TOPIC in where else "process",
            context=None if batch else origins[0],
            kind=SpanKind.CONSUMER,
            attributes={
                **self._common,
                **where,
                **(_of_batch(messages) if batch else _of_record(messages[0])),
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.client.id": self._client_id,
                "rota.attempt": attempt,
            },
            links=[Link(context) for context in contexts if context.is_valid],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            before = tracing.now.set(_told(span))
            try:
                yield
            except SkipRecordError:
                span.add_event("rota.skipped")
                raise
            except BaseException as failure:
                span.add_event("exception", _of_failure(failure))
                span.set_attribute("error.type", exception_name(failure))
                span.set_status(Status(StatusCode.ERROR, exception_text(failure) or None))
                raise
            finally:
                tracing.now.reset(before)

    def committed(self, seconds: float, problem: str | None) -> None:
        """A commit was answered."""
        if self._meter is not None and not self._closed:
            attributes = {
                **self._common,
                "messaging.operation.name": "commit",
                "messaging.operation.type": "settle",
            }
            if problem is not None:
                attributes["error.type"] = "_OTHER"
            self._operations.record(seconds, attributes)

    # What is read when somebody collects.

    def observe(self, look: Callable[[], State | None], counts: Counts) -> None:
        """Let collections ask: ``look`` takes a snapshot."""
        meter = self._meter
        if meter is None:
            return
        for name, unit, words, rows in _counted(counts):
            meter.create_observable_counter(name, [self._counter(rows)], unit, words)
        for name, unit, words, value in _GAUGES:
            meter.create_observable_gauge(name, [self._per_partition(look, value, name)], unit, words)

    def _counter(self, rows: Callable[[], Rows]) -> Any:
        def observe(_options: CallbackOptions) -> list[Observation]:
            found = [] if self._closed else rows()
            return [Observation(number, {**self._common, **labels}) for number, labels in found]

        return observe

    def _per_partition(
        self, look: Callable[[], State | None], value: Callable[[PartitionState], float | None], name: str
    ) -> Any:
        collector_names = name.startswith("kafka.")

        def labels(partition: PartitionState) -> dict[str, Any]:
            if collector_names:
                return {"group": self._group, "topic": partition.topic, "partition": partition.partition}
            number = str(partition.partition)
            return {**self._common, _TOPIC: partition.topic, _NUMBER_OF_PARTITION: number}

        def observe(_options: CallbackOptions) -> list[Observation]:
            state = None if self._closed else look()
            found = [] if state is None else [(value(each), each) for each in state.partitions]
            return [Observation(number, labels(each)) for number, each in found if number is not None]

        return observe


_NO_SPAN = nullcontext()


class _Headers(Getter[dict[str, list[str]]]):
    """How the propagators that the application has chosen read a record's headers."""

    def get(self, carrier: dict[str, list[str]], key: str) -> list[str] | None:
        return carrier.get(key.lower())

    def keys(self, carrier: dict[str, list[str]]) -> list[str]:
        return list(carrier)


_GETTER = _Headers()


def _carrier(message: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers_of(message) or ():
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if text is not None:
            found[name.lower()] = [text]  # of several the last counts
    return found


def _topic_of(messages: Sequence[Message]) -> str | None:
    """The topic, where it is one."""
    topic = messages[0].topic()
    if len(messages) > 1 and any(message.topic() != topic for message in messages):
        return None
    return topic


def _where(topic: str | None) -> dict[str, Any]:
    return {_TOPIC: topic} if topic is not None else {}


def _of_record(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {
        _NUMBER_OF_PARTITION: str(message.partition()),
        "messaging.kafka.offset": message.offset(),
    }
    key = message.key()
    if key is not None:
        with suppress(UnicodeDecodeError):  # then it has no form as a string that everybody would agree on
            found["messaging.kafka.message.key"] = key.decode()
    if message.value() is None:
        found["messaging.kafka.message.tombstone"] = True
    return found


def _of_batch(messages: Sequence[Message]) -> dict[str, Any]:
    found: dict[str, Any] = {"messaging.batch.message_count": len(messages)}
    if len({(message.topic(), message.partition()) for message in messages}) == 1:
        found[_NUMBER_OF_PARTITION] = str(messages[0].partition())
    return found


def _told(span: Span) -> tracing.TraceContext | None:
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return tracing.TraceContext(
        trace.format_trace_id(context.trace_id),
        trace.format_span_id(context.span_id),
        int(context.trace_flags),
        context.trace_state.to_header(),
    )


def _of_failure(failure: BaseException) -> dict[str, Any]:
    """As `Span.record_exception` would; also of a failure that cannot tell its text."""
    return {
        "exception.type": exception_name(failure),
        "exception.message": exception_text(failure),
        "exception.stacktrace": trace_of(failure),
    }


def _counted(counts: Counts) -> list[tuple[str, str, str, Callable[[], Rows]]]:
    """Name, unit, words, and what it is now."""
    return [
        (
            "messaging.client.consumed.messages",
            "{message}",
            "Number of messages that were delivered to the application.",
            lambda: [
                (number, {_TOPIC: topic, "messaging.operation.name": "poll"})
                for topic, number in list(counts.fetched_of.items())
            ],
        ),
        (
            "rota.consumer.failures",
            "{attempt}",
            "Attempts that failed, by what became of the record.",
            lambda: [
                (number, {_TOPIC: topic, "rota.action": action})
                for (topic, action), number in list(counts.failed_as.items())
            ],
        ),
        (
            "rota.consumer.rebalances",
            "{rebalance}",
            "Times that partitions came, went, or were lost.",
            lambda: [(n, {"rota.kind": kind}) for kind, n in list(counts.rebalances.items())],
        ),
    ]


_GAUGES: tuple[tuple[str, str, str, Callable[[PartitionState], float | None]], ...] = (
    ("kafka.consumer_group.lag", "1", "Records behind what the group has committed.", lambda p: p.lag),
    ("rota.consumer.in_flight", "{record}", "Records fetched and not done.", lambda p: p.in_flight),
    ("rota.consumer.paused", "1", "1: nothing is fetched for now.", lambda p: int(bool(p.paused))),
    (
        "rota.consumer.blocking_record.age",
        "s",
        "How long the first record that is not done has held the partition.",
        lambda p: p.blocking.age_ms / 1000 if p.blocking else 0.0,
    ),
)
"""Name, unit, words, and what it is of a partition."""
