"""A real Prometheus server scrapes a real consumer, and its checker reads the metrics and the documented alerts."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from tests.conftest import skip_or_fail
from tests.consumer.running_app import broker_with, config, nothing, produce, started
from tests.consumer.states import blocking, partition, state
from tests.kafka.ports import wait_until
from tests.prometheus import PrometheusMissingError, promtool, scraping

from rota.consumer import App, Record
from rota.consumer.operations.counts import Counts, Durations
from rota.consumer.operations.metrics import ConsumerCollector

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_prometheus_own_checker_finds_no_fault_with_names_and_types() -> None:
    counts = Counts(lambda: 0, lambda: 0)
    counts.last_commit_ms = 1_700_000_000_000
    counts.failed_as["orders", "retry"] = counts.fetched_of["orders"] = counts.slow_of["orders"] = 1
    seen = state(partition(0, end=20, blocking=blocking("retry")), partition(1))
    ours = ConsumerCollector("billing", lambda: seen, lambda: 1, counts, {"handle": Durations()})
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ours)
    try:
        assert promtool("check", "metrics", stdin=generate_latest(registry).decode()) == ""
    except PrometheusMissingError as missing:
        skip_or_fail(missing)


def test_the_alerts_in_the_documentation_are_rules(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(- alert:.*?)```", DOCS.read_text(), re.DOTALL)
    rules = tmp_path / "rules.yml"
    indented = "".join(f"    {line}\n" for line in block.splitlines())
    rules.write_text(f"groups:\n- name: consumers\n  rules:\n{indented}")
    try:
        assert "3 rules found" in promtool("check", "rules", str(rules))
    except PrometheusMissingError as missing:
        skip_or_fail(missing)


def test_prometheus_sees_lag_blocking_records_and_durations_and_forgets_what_went(tmp_path: Path) -> None:
    hold = threading.Event()
    with broker_with(orders=2) as broker:
        app = App(config(broker), port=0)

        @app.handler("orders")
        def handle(record: Record[bytes]) -> None:
            if record.value == b"hold":
                hold.wait(600)

        with started(app) as running:
            port = running.operations.port
            assert port is not None
            try:
                with scraping(port, tmp_path) as prometheus:
                    produce(broker, "orders", 30)
                    produce(broker, "orders", 1, value=b"hold", partition=1)
                    wait_until(
                        "it has scraped",
                        lambda: prometheus.value("rota_consumer_records_done_total") == 30,
                    )
                    wait_until("it is content", lambda: prometheus.targets()[0]["health"] == "up")
                    wait_until(
                        "one record is behind",
                        lambda: (
                            prometheus.query("kafka_consumer_lag")
                            == {
                                (("consumer_group", "billing"), ("partition", "0"), ("topic", "orders")): 0,
                                (("consumer_group", "billing"), ("partition", "1"), ("topic", "orders")): 1,
                            }
                        ),
                    )
                    blocked = 'rota_consumer_blocking_record_age_seconds{partition="1"}'
                    wait_until("its age grows", lambda: (prometheus.value(blocked) or 0) > 1)
                    wait_until(
                        "durations are there",
                        lambda: prometheus.value("rota_consumer_handler_seconds_count") == 30,
                    )
                    quantile = "histogram_quantile(0.9, rota_consumer_handler_seconds_bucket)"
                    wait_until("quantiles", lambda: 0 < (prometheus.value(quantile) or 0) < 10)
                    hold.set()
                    wait_until("nothing is behind", lambda: prometheus.value("sum(kafka_consumer_lag)") == 0)
                    wait_until(
                        "both partitions are ours",
                        lambda: prometheus.value("rota_consumer_assigned_partitions") == 2,
                    )
                    other = App(config(broker))
                    other.handler("orders")(nothing)
                    with started(other):
                        wait_until(
                            "the partition that went is forgotten",
                            lambda: len(prometheus.query("kafka_consumer_lag")) == 1,
                        )
            except PrometheusMissingError as missing:
                skip_or_fail(missing)
            finally:
                hold.set()
