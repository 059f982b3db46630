"""OpenTelemetry's own SDK hears what a consumer tells, with the names of its conventions."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from tests.consumer.fakes import FakeMessage
from tests.consumer.running_app import broker_with, config, produce, started
from tests.kafka.ports import wait_until

from rota.consumer import App, DeadLetter, Record, Records, Retry, skip, tracing
from rota.consumer.handlers import Batch
from rota.consumer.otel import BOUNDARIES, OpenTelemetry, Telemetry
from rota.model import TopicPartition
from rota.testing import Broker

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
FROM = [("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "shop=7")]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a very slow machine the owner may take longer than operators wait."""
    monkeypatch.setattr("rota.consumer.operations.operations.ANSWER_S", 60.0)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_with(orders=1, several=1, later=1, plain=1, doomed=1, buried=1) as it:
        yield it


class Backend:
    """Where everything goes."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.wish = OpenTelemetry(
            tracer_provider=tracers, meter_provider=MeterProvider(metric_readers=[self.reader])
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[Any]:
        metric = self.metrics().get(name)
        return list(metric.data.data_points) if metric is not None else []


def test_a_record_is_a_span_below_the_one_it_came_from(broker: Broker) -> None:
    backend = Backend()
    app = App(config(broker, **{"group.id": "otel", "client.id": "billing-1"}), otel=backend.wish)
    inside: list[tuple[Any, Any]] = []

    @app.handler("orders", retry=Retry(attempts=2, backoff=(0.01, 0.01)), on_failure="skip")
    def handle(record: Record[bytes]) -> None:
        inside.append((get_current_span().get_span_context().span_id, tracing.now.get()))
        if record.value == b"1":
            raise OSError("down")
        if record.value == b"2":
            raise skip("not for us")

    with started(app):
        produce(broker, "orders", 3, headers=FROM)
        wait_until("there are spans", lambda: len(backend.spans) == 4)
    first = next(span for span in backend.spans if _attribute(span, "messaging.kafka.offset") == 0)
    assert first.name == "process orders"
    assert first.kind is SpanKind.CONSUMER
    assert first.parent is not None
    assert f"{first.parent.trace_id:032x}" == TRACE
    assert f"{first.parent.span_id:016x}" == SPAN
    assert [f"{link.context.span_id:016x}" for link in first.links] == [SPAN]
    assert dict(first.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": "otel",
        "messaging.client.id": "billing-1",
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": "0",
        "rota.attempt": 1,
    }
    assert first.status.status_code is StatusCode.UNSET
    failed = [span for span in backend.spans if _attribute(span, "messaging.kafka.offset") == 1]
    assert sorted(_attribute(span, "rota.attempt") for span in failed) == [1, 2]
    for span in failed:
        assert span.status.status_code is StatusCode.ERROR
        assert _attribute(span, "error.type") == "OSError"
        assert [event.name for event in span.events] == ["exception"]
    (skipped,) = [span for span in backend.spans if _attribute(span, "messaging.kafka.offset") == 2]
    assert skipped.status.status_code is StatusCode.UNSET
    # The handler was inside its span, and what it would produce goes on with it.
    for span_id, context in inside:
        assert int(context.span_id, 16) == span_id
        assert (context.trace_id, context.state) == (TRACE, "shop=7")
    assert tracing.now.get() is None


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_failure_that_cannot_tell_its_text_is_a_span_as_any_other() -> None:
    backend = Backend()
    telemetry = Telemetry(backend.wish, "billing", "billing-1")
    failure = MuteError()
    message = FakeMessage(TopicPartition("orders", 0), 7, None)
    with pytest.raises(MuteError), telemetry.span([message], 1, batch=False):
        raise failure
    (span,) = backend.spans
    told = "<its message cannot be shown: RuntimeError>"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, told)
    (event,) = span.events
    found = dict(event.attributes or {})
    assert found["exception.message"] == told
    assert found["exception.type"] == f"{__name__}.MuteError"
    assert str(found["exception.stacktrace"]).startswith("Traceback (most recent call last):")


def test_a_batch_is_one_span_with_a_link_for_each_origin(broker: Broker) -> None:
    backend = Backend()
    app = App(config(broker, **{"group.id": "otel-batch"}), otel=backend.wish, order="partition")

    @app.handler("several", batch=Batch(most=100, wait_ms=50))
    async def handle(records: Records[bytes]) -> None:
        assert len(records) >= 1

    produce(broker, "several", 3, headers=FROM)
    produce(broker, "several", 2)
    with started(app):
        wait_until(
            "all are in spans",
            lambda: sum(_attribute(span, "messaging.batch.message_count") for span in backend.spans) == 5,
        )
    assert sum(len(span.links) for span in backend.spans) == 3
    for span in backend.spans:
        assert span.parent is None
        assert _attribute(span, "messaging.destination.partition.id") == "0"
        assert _attribute(span, "messaging.kafka.offset") is None


def test_metrics_have_the_names_and_attributes_of_the_conventions(broker: Broker) -> None:
    backend = Backend()
    app = App(config(broker, **{"group.id": "otel-metrics"}), otel=backend.wish)
    hold = threading.Event()

    @app.handler("later", on_failure="skip")
    def handle(record: Record[bytes]) -> None:
        if record.value == b"3":
            raise OSError("down")
        if record.value == b"4":
            hold.wait(600)

    common = {"messaging.system": "kafka", "messaging.consumer.group.name": "otel-metrics"}
    try:
        with started(app):
            produce(broker, "later", 10)
            wait_until(
                "all but one are timed",
                lambda: sum(point.count for point in backend.points("messaging.process.duration")) == 9,
            )
            well, failed = sorted(
                backend.points("messaging.process.duration"), key=lambda point: len(point.attributes)
            )
            where = {**common, "messaging.destination.name": "later", "messaging.operation.name": "process"}
            assert (dict(well.attributes), well.count) == (where, 8)
            assert (dict(failed.attributes), failed.count) == ({**where, "error.type": "OSError"}, 1)
            assert tuple(well.explicit_bounds) == BOUNDARIES
            assert backend.metrics()["messaging.process.duration"].unit == "s"
            (consumed,) = backend.points("messaging.client.consumed.messages")
            assert consumed.value == 10
            assert dict(consumed.attributes) == {
                **common,
                "messaging.destination.name": "later",
                "messaging.operation.name": "poll",
            }
            wait_until("a commit is timed", lambda: backend.points("messaging.client.operation.duration"))
            (commits,) = backend.points("messaging.client.operation.duration")
            assert commits.attributes["messaging.operation.name"] == "commit"
            wait_until(
                "it is behind", lambda: [p.value for p in backend.points("kafka.consumer_group.lag")] == [6]
            )
            (lag,) = backend.points("kafka.consumer_group.lag")
            assert dict(lag.attributes) == {"group": "otel-metrics", "topic": "later", "partition": 0}
            (age,) = backend.points("rota.consumer.blocking_record.age")
            assert age.value > 0
            (failures,) = backend.points("rota.consumer.failures")
            assert (failures.value, failures.attributes["rota.action"]) == (1, "skip")
            kinds = {point.attributes["rota.kind"] for point in backend.points("rota.consumer.rebalances")}
            assert "assigned" in kinds
            hold.set()
        assert backend.points("kafka.consumer_group.lag") == []  # it has ended
    finally:
        hold.set()


def test_a_dead_letter_stays_in_its_trace(broker: Broker) -> None:
    backend = Backend()
    app = App(config(broker, **{"group.id": "otel-buried"}), otel=backend.wish)

    @app.handler("doomed", dead_letter=DeadLetter("buried"))
    def handle(record: Record[bytes]) -> None:
        raise OSError("down")

    with started(app):
        produce(broker, "doomed", 1, headers=FROM)
        reader = Consumer(config(broker, **{"group.id": "reader", "auto.offset.reset": "earliest"}))
        found: list[Any] = []

        def buried() -> bool:
            found.append(reader.poll(0.5))
            return found[-1] is not None

        try:
            reader.subscribe(["buried"])
            wait_until("it is buried", buried)
        finally:
            reader.close()
    headers = found[-1].headers()
    assert tracing.of_headers(headers) == tracing.TraceContext(TRACE, SPAN, 1, "shop=7")


def test_without_opentelemetry_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import rota.consumer.otel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = "rota.model.RotaError: OpenTelemetry is not installed: pip install 'rota[otel]'"
    assert done.stderr.splitlines()[-1] == last


def test_each_half_can_be_left_out(broker: Broker) -> None:
    backend = Backend()
    quiet = OpenTelemetry(
        traces=False,
        metrics=False,
        tracer_provider=backend.wish.tracer_provider,
        meter_provider=backend.wish.meter_provider,
    )
    app = App(config(broker, **{"group.id": "otel-none"}), otel=quiet)
    done = threading.Event()
    app.handler("plain")(lambda _: done.set())
    with started(app):
        produce(broker, "plain", 1, headers=FROM)
        assert done.wait(120)
    assert backend.spans == ()
    assert backend.metrics() == {}


def _attribute(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)
