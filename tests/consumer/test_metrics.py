"""Prometheus metrics: what they say, what they are called, what becomes of them when partitions go."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, Gauge
from prometheus_client.parser import text_string_to_metric_families
from tests.consumer.running_app import broker_with, config, fetch, nothing, produce, started
from tests.consumer.states import blocking, partition, state
from tests.kafka.ports import wait_until

from rota.consumer import App, Context, Record, Records, Retry, skip
from rota.consumer.handlers import Batch
from rota.consumer.operations.counts import Counts, Durations
from rota.consumer.operations.metrics import ConsumerCollector, exposition
from rota.consumer.operations.snapshot import State
from rota.model import RotaError
from rota.testing import Broker

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def samples(text: str) -> Samples:
    """Every sample, without the group that all of ours have."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "consumer_group"}
            key = sample.name, frozenset(labels.items())
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def of(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def collector(seen: State | None, counts: Counts | None = None) -> ConsumerCollector:
    durations = Durations()
    durations.add(0.02)
    durations.add(70.0)
    counted = counts or Counts(lambda: 0, lambda: 0)
    return ConsumerCollector("billing", lambda: seen, lambda: 1_500, counted, {"handle": durations})


def page(seen: State | None, accept: str = "text/plain") -> str:
    return exposition(collector(seen), accept)[0].decode()


def test_each_partition_has_its_figures() -> None:
    first = partition(0, position=12, end=20, blocking=blocking("retry", 5, attempts=3, age_ms=2_500))
    second = partition(1, position=7, end=None, paused="paused by the application")
    found = samples(page(state(first, second)))
    zero = {"topic": "orders", "partition": "0"}
    one = {"topic": "orders", "partition": "1"}
    assert of(found, "kafka_consumer_lag", **zero) == 15
    assert of(found, "kafka_consumer_lag", **one) is None  # nobody knows yet
    assert of(found, "rota_consumer_position", **zero) == 12
    assert of(found, "rota_consumer_committed_offset", **zero) == 5
    assert of(found, "rota_consumer_partition_paused", **zero) == 0
    assert of(found, "rota_consumer_partition_paused", **one) == 1
    assert of(found, "rota_consumer_blocking_record_age_seconds", **zero) == 2.5
    assert of(found, "rota_consumer_blocking_record_age_seconds", **one) == 0
    assert of(found, "rota_consumer_blocking_record_attempts", **zero) == 3
    assert of(found, "rota_consumer_assigned_partitions") == 2
    assert of(found, "rota_consumer_owner_silent_seconds") == 1.5


def test_the_lag_has_the_labels_that_everybody_uses() -> None:
    text = page(state(partition(0, position=1, end=4)))
    assert 'kafka_consumer_lag{topic="orders",partition="0",consumer_group="billing"} 3.0' in text or (
        'kafka_consumer_lag{consumer_group="billing",partition="0",topic="orders"} 3.0' in text
    )


def test_series_of_partitions_that_went_are_gone() -> None:
    before, after = samples(page(state(partition(0), partition(1)))), samples(page(state(partition(1))))
    gone = {key for key in before if ("partition", "0") in key[1]}
    assert gone
    assert not gone & set(after)


def test_durations_are_a_histogram_in_seconds() -> None:
    found = samples(page(state()))
    assert of(found, "rota_consumer_handler_seconds_count", handler="handle") == 2
    assert of(found, "rota_consumer_handler_seconds_sum", handler="handle") == 70.02
    assert of(found, "rota_consumer_handler_seconds_bucket", handler="handle", le="0.01") == 0
    assert of(found, "rota_consumer_handler_seconds_bucket", handler="handle", le="0.025") == 1
    assert of(found, "rota_consumer_handler_seconds_bucket", handler="handle", le="10.0") == 1
    assert of(found, "rota_consumer_handler_seconds_bucket", handler="handle", le="+Inf") == 2


def test_of_an_owner_that_does_not_answer_is_told_what_can_be() -> None:
    found = samples(page(None))
    assert of(found, "rota_consumer_owner_silent_seconds") == 1.5
    assert of(found, "rota_consumer_handler_seconds_count", handler="handle") == 2
    assert not [key for key in found if "partition" in dict(key[1])]


def test_open_metrics_are_served_to_those_who_accept_them() -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    body, kind = exposition(collector(state(partition())), accept)
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_the_metrics_of_the_application_are_on_the_same_page() -> None:
    gauge = Gauge("shop_open", "Whether the shop is open")
    gauge.set(1)
    assert of(samples(page(state())), "shop_open") == 1


def test_a_collector_that_is_in_the_registry_too_is_shown_once() -> None:
    ours = collector(state(partition()))
    REGISTRY.register(ours)
    try:
        found = samples(page(state(partition())))  # which looks for what is there twice
        assert of(found, "rota_consumer_assigned_partitions") == 1
    finally:
        REGISTRY.unregister(ours)


def test_labels_are_few_and_never_a_key_or_an_error() -> None:
    seen = state(partition(0, blocking=replace(blocking("retry"), key="secret-key", failure="secret-error")))
    counts = Counts(lambda: 0, lambda: 0)
    text = exposition(collector(seen, counts), "")[0].decode()
    assert "secret" not in text
    names = {name for _, labels in samples(text) for name, _ in labels}
    ours = {"topic", "partition", "handler", "kind", "action", "le"}
    of_the_process = {"implementation", "major", "minor", "patchlevel", "version", "generation"}
    assert names <= ours | of_the_process


def test_every_metric_is_in_the_documentation_and_no_other() -> None:
    families = list(collector(state(partition(0, end=20))).collect())
    counts = Counts(lambda: 0, lambda: 0)
    counts.last_commit_ms = 1
    families += list(collector(state(), counts).collect())
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    told = re.findall(r"`((?:rota|kafka)_consumer_\w+)", DOCS.read_text())
    assert set(told) == names


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a very slow machine the owner may take longer than operators wait."""
    monkeypatch.setattr("rota.consumer.operations.operations.ANSWER_S", 60.0)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_with(orders=2, later=1, many=1) as it:
        yield it


def test_async_and_batch_handlers_are_timed_too(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "timed"}), metrics=True)

    @app.handler("later")
    async def one(record: Record[bytes]) -> None:
        await asyncio.sleep(0.01)

    @app.handler("many", batch=Batch(most=5, wait_ms=50))
    def several(records: Records[bytes]) -> None:
        assert len(records) <= 5

    with started(app) as running:
        produce(broker, "later", 4)
        produce(broker, "many", 10)

        def now() -> Samples:
            return samples(exposition(running.operations.collector(), "")[0].decode())

        wait_until(
            "all are done",
            lambda: (
                of(now(), "rota_consumer_records_done_total", handler="one") == 4
                and of(now(), "rota_consumer_records_done_total", handler="several") == 10
            ),
        )
        found = now()
        assert of(found, "rota_consumer_handler_seconds_count", handler="one") == 4
        assert (of(found, "rota_consumer_handler_seconds_sum", handler="one") or 0) >= 0.04
        assert 2 <= (of(found, "rota_consumer_handler_seconds_count", handler="several") or 0) <= 10
        assert of(found, "rota_consumer_records_fetched_total", topic="later") == 4
        assert of(found, "rota_consumer_records_fetched_total", topic="many") == 10


def test_without_prometheus_client_the_page_says_what_to_install(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    app = App(config(broker, **{"group.id": "bare"}), port=0)
    app.handler("later")(nothing)
    with started(app) as running:
        port = running.operations.port
        assert fetch(port, "/metrics") == (
            501,
            "metrics need prometheus-client: pip install 'rota[metrics]'\n",
        )
        assert fetch(port, "/health/live")[0] == 200
    wanting = App(config(broker), metrics=True)
    wanting.handler("later")(nothing)
    with pytest.raises(RotaError, match="metrics=True needs prometheus-client"):
        wanting.start()


def test_nothing_is_measured_unless_it_was_asked_for(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "unmeasured"}), port=0, metrics=False)
    app.handler("later")(nothing)
    with started(app) as running:
        (spec,) = running.operations.specs
        assert spec.function is app.handlers[0].function
        found = samples(fetch(running.operations.port, "/metrics")[1])
        assert of(found, "rota_consumer_handler_seconds_count", handler="nothing") is None
        assert of(found, "rota_consumer_workers", handler="nothing") == 16


def test_importing_the_runtime_imports_no_extras() -> None:
    code = "import sys, rota.consumer; print([n for n in sys.modules if n.startswith(('prometheus', 'opentel'))])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_a_running_consumer_is_scraped(broker: Broker) -> None:
    app = App(config(broker), port=0)
    hold = threading.Event()

    @app.handler("orders", retry=Retry(attempts=3, backoff=(0.01, 0.01)), on_failure="skip")
    def handle(record: Record[bytes], context: Context) -> None:
        if record.value == b"3":
            raise skip("not for us")
        if record.value == b"5":
            raise OSError("down")
        if record.value == b"7":
            hold.wait(600)

    def now() -> Samples:
        return samples(fetch(running.operations.port, "/metrics")[1])

    try:
        with started(app) as running:
            produce(broker, "orders", 20)
            wait_until(
                "all but one are done",
                lambda: of(now(), "rota_consumer_records_done_total", handler="handle") == 17,
            )
            wait_until("there was a commit", lambda: of(now(), "rota_consumer_commit_seconds_count"))
            wait_until(
                "the record is named", lambda: of(now(), "rota_consumer_slow_records_total", topic="orders")
            )
            found = now()
            assert of(found, "rota_consumer_records_fetched_total", topic="orders") == 20
            assert of(found, "rota_consumer_records_skipped_total", topic="orders") == 1
            assert of(found, "rota_consumer_failures_total", topic="orders", action="retry") == 2
            assert of(found, "rota_consumer_failures_total", topic="orders", action="skip") == 1
            assert of(found, "rota_consumer_in_flight", handler="handle") == 1
            assert of(found, "rota_consumer_workers", handler="handle") == 16
            assert of(found, "rota_consumer_workers_busy", handler="handle") == 1
            assert of(found, "rota_consumer_handler_seconds_count", handler="handle") == 21
            assert of(found, "rota_consumer_rebalance_seconds_count", kind="assigned") == 1
            ages = [
                of(found, "rota_consumer_blocking_record_age_seconds", topic="orders", partition=str(number))
                for number in range(2)
            ]
            assert sorted(age > 0 for age in ages if age is not None) == [False, True]
            hold.set()
            wait_until(
                "the last one is done",
                lambda: of(now(), "rota_consumer_records_done_total", handler="handle") == 18,
            )
            wait_until(
                "nothing is behind",
                lambda: sum(value for (name, _), value in now().items() if name == "kafka_consumer_lag") == 0,
            )
    finally:
        hold.set()
