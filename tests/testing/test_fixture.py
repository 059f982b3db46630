"""The fixture ``rota_broker``, as the installed plugin offers it to anybody's tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from rota.testing import Broker

SOMEBODYS_TESTS = """
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

seen = []


def test_what_was_written_is_read(rota_broker):
    address = {"bootstrap.servers": rota_broker.bootstrap_servers}
    producer = Producer(address)
    producer.produce("orders", b"1")
    assert producer.flush(30) == 0
    consumer = Consumer({**address, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    message = consumer.poll(30)
    assert message is not None and message.value() == b"1"
    consumer.close()
    seen.append(rota_broker)


def test_every_test_has_a_broker_of_its_own(rota_broker):
    assert rota_broker is not seen[0]
    topics = AdminClient({"bootstrap.servers": rota_broker.bootstrap_servers}).list_topics(timeout=30).topics
    assert "orders" not in topics
"""


def test_a_broker_that_answers(rota_broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": rota_broker.bootstrap_servers})
    producer.produce("orders", b"1")
    assert producer.flush(30) == 0
    admin = AdminClient({"bootstrap.servers": rota_broker.bootstrap_servers})
    assert "orders" in admin.list_topics(timeout=30).topics


def test_the_installed_plugin_offers_it(tmp_path: Path) -> None:
    """In a directory that knows nothing of Rota's own tests."""
    (tmp_path / "test_orders.py").write_text(SOMEBODYS_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_pytest_lists_it_with_its_help(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--fixtures",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "rota_broker" in done.stdout
    assert "A Kafka broker of the test's own" in done.stdout
