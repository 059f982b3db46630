"""A real Prometheus server scrapes a real consumer."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.conftest import skip_or_fail
from tests.consumer.running_app import broker_with, config, nothing, produce, started
from tests.kafka.ports import wait_until
from tests.prometheus import PrometheusMissingError, scraping

from rota.consumer import App, Record


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
                    (target,) = prometheus.targets()
                    assert target["health"] == "up", target["lastError"]
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
                    assert prometheus.value("rota_consumer_handler_seconds_count") == 30
                    quantile = "histogram_quantile(0.9, rota_consumer_handler_seconds_bucket)"
                    assert 0 < (prometheus.value(quantile) or 0) < 10
                    hold.set()
                    wait_until("nothing is behind", lambda: prometheus.value("sum(kafka_consumer_lag)") == 0)
                    assert prometheus.value("rota_consumer_assigned_partitions") == 2
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
