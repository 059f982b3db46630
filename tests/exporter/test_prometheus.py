"""`rota exporter` as it is run, scraped by a real Prometheus: queried, alert fired, dashboard answered."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition as ConfluentPartition
from tests.exporter.test_alerts import queries, rules
from tests.kafka.ports import PATIENCE_S, free_ports, wait_until
from tests.prometheus import scraping

from rota.admin import Admin
from rota.model import TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk


@contextmanager
def exporting(bootstrap_servers: str, directory: Path, *options: str) -> Iterator[int]:
    """The command in a process of its own; its port. It must end with 0 when it is told to."""
    log = (directory / "exporter.err").open("w+")
    command = [sys.executable, "-m", "rota", "exporter", "-b", bootstrap_servers, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r":(\d+)/metrics$", process.stdout.readline().strip())
        assert found is not None, (directory / "exporter.err").read_text()
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_S)
        log.close()
        process.stdout.close()
    assert code == 0


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.usefixtures("prometheus_installed")
def test_prometheus_scrapes_queries_and_fires(broker: BrokerUnderTest, desk: Desk, tmp_path: Path) -> None:
    topic = desk.topic("metered", 2)
    desk.produce(topic, 10, partitions=2)
    group, other = desk.name("late"), desk.name("deleted")
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with Admin(broker.bootstrap_servers, timeout_s=PATIENCE_S) as admin:
        done = admin.alter_offsets(group, {first: Commit(4), second: Commit(10)})
        done |= admin.alter_offsets(other, {first: Commit(1)})
        assert set(done.values()) == {None}
        styles = [word for style in ("native", "kafka_exporter") for word in ("--metrics-style", style)]
        with (
            exporting(
                broker.bootstrap_servers, tmp_path, "--interval", "0.5", "--timeout", "60000", *styles
            ) as port,
            scraping(port, tmp_path, rules()) as prometheus,
        ):
            where = f'topic="{topic}",partition="0"'
            lag = f'kafka_consumer_lag{{{where},consumer_group="{group}"}}'
            wait_until("the lag is scraped", lambda: prometheus.value(lag) == 6)
            theirs = f'kafka_consumergroup_lag{{{where},consumergroup="{group}"}}'
            wait_until("also under the other name", lambda: prometheus.value(theirs) == 6)
            assert prometheus.value("rota_up") == 1
            for query in queries(f"127.0.0.1:{port}"):
                prometheus.query(query)
            gone = f'rota_group_members{{consumer_group="{other}"}}'
            assert prometheus.value(gone) == 0
            admin.delete_groups([other])
            wait_until("the deleted group is gone", lambda: prometheus.value(gone) is None)
            lost = [ConfluentPartition(topic, 0, 7)]
            for future in desk.admin.delete_records(lost).values():
                future.result(PATIENCE_S)
            wait_until(
                "the alert fires",
                lambda: any(
                    alert["alertname"] == "ConsumerRecordsLost" and alert["consumer_group"] == group
                    for alert in prometheus.firing()
                ),
            )
            assert get(port, "/health")[0] == 200


def test_a_cluster_that_is_away_holds_no_scrape_up(tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    with exporting(f"127.0.0.1:{nobody}", tmp_path, "--interval", "0.2", "--timeout", "500") as port:
        assert "\nrota_up 0\n" in get(port, "/metrics")[1]
        wait_until("a look has failed", lambda: "the last look failed" in get(port, "/health")[1])
        status, words = get(port, "/health")
        assert (status, words.count("\n")) == (503, 1)
        assert get(port, "/nothing")[0] == 404
        wait_until("it was said", lambda: str(nobody) in (tmp_path / "exporter.err").read_text())
    said = (tmp_path / "exporter.err").read_text().splitlines()
    assert len(said) == len(set(said))


@pytest.mark.parametrize("what", ["alerts", "dashboard"])
def test_what_is_shipped_is_printed(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rota", "exporter", "--print", what],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# Alert rules" if what == "alerts" else "{")
