"""`rota lab --bootstrap-server`: on somebody's Kafka, with nothing but a group and a topic of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as ClientPartition
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.rehearsal.children import all_gone, descendants

from rota.cluster import Cluster
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.brokers import BrokerUnderTest


class Place:
    """A cluster, and names that nobody else uses there."""

    def __init__(self, bootstrap: str) -> None:
        self.cluster = Cluster(bootstrap)
        suffix = f"{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.topic, self.group = f"lab-topic-{suffix}", f"lab-group-{suffix}"

    def lab(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a short lab there."""
        command = [sys.executable, "-m", "rota", "lab", "-b", self.cluster.bootstrap, "--json"]
        command += ["--topic", self.topic, "--group", self.group, "--duration", "4", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def commit(self, group: str, topic: str) -> None:
        """Leave behind what an ordinary consumer leaves behind."""
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": group})
        consumer.commit(offsets=[ClientPartition(topic, 0, 0)], asynchronous=False)
        consumer.close()

    def has_topic(self) -> bool:
        return not isinstance(self.cluster.describe_topics([self.topic])[self.topic], RotaError)

    def has_group(self) -> bool:
        return self.cluster.describe_groups([self.group])[self.group].exists


@pytest.fixture
def place(broker: BrokerUnderTest) -> Iterator[Place]:
    found = Place(broker.bootstrap_servers)
    yield found
    found.cluster.close()


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_keeps_what_it_made_knows_it_again_and_leaves_nothing_behind(place: Place) -> None:
    first = findings(place.lab("--keep", "--commit", "auto"))
    assert place.has_topic()
    assert place.has_group()
    second = findings(place.lab())
    assert second["lost"] == second["waiting"] == 0
    assert second["produced"] > 30
    assert second["rebalances"], "seen by describing the group"
    assert {row["partition"] for row in second["partitions"]} == {f"{place.topic}-{n}" for n in range(3)}
    assert second["processed"] <= second["produced"] + first["processed_again"]
    assert not place.has_topic()
    assert not place.has_group()


def test_refuses_a_group_that_others_are_in(place: Place) -> None:
    place.cluster.create_topic(place.topic, partitions=3)
    somebody = Consumer(
        {"bootstrap.servers": place.cluster.bootstrap, "group.id": place.group, "client.id": "payments"}
    )
    somebody.subscribe([place.topic])
    try:
        while not somebody.assignment():
            somebody.poll(0.1)
        done = place.lab()
        assert done.returncode == 1
        assert f"refusing to join the group {place.group}" in done.stderr
        assert "payments" in done.stderr
        assert "--group" in done.stderr
        assert len(place.cluster.describe_groups([place.group])[place.group].members) == 1
    finally:
        somebody.close()
    assert place.has_topic()


def test_refuses_a_sleeping_group_that_no_lab_made(place: Place) -> None:
    place.cluster.create_topic(place.topic, partitions=1)
    place.commit(place.group, place.topic)
    done = place.lab()
    assert done.returncode == 1
    assert "no lab made it" in done.stderr
    assert place.has_group()


def test_refuses_a_topic_that_no_lab_made(place: Place) -> None:
    place.cluster.create_topic(place.topic, partitions=3)
    done = place.lab()
    assert done.returncode == 1
    assert f"refusing to write into the topic {place.topic}" in done.stderr
    assert place.has_topic()


def test_a_refused_lab_leaves_what_an_earlier_one_kept(place: Place) -> None:
    findings(place.lab("--keep"))
    done = place.lab("--partitions", "4")
    assert done.returncode == 1
    assert f"the topic {place.topic} of an earlier lab has 3 partitions, not 4" in done.stderr
    assert place.cluster.partition_counts([place.topic]) == {place.topic: 3}
    assert place.has_group()
    findings(place.lab())  # and this one takes it over
    assert not place.has_topic()


def test_the_next_lab_knows_what_a_killed_one_has_left(place: Place) -> None:
    """Its group is a lab's by what its consumers commit, not by what its director would have done at the end."""
    command = [sys.executable, "-m", "rota", "lab", "-b", place.cluster.bootstrap]
    command += ["--topic", place.topic, "--group", place.group]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as first:
        wait_until("a commit", lambda: place.cluster.committed_offsets(place.group))
        children = descendants(first.pid)
        first.kill()
    assert all_gone(children)
    findings(place.lab())
    assert not place.has_topic()


def test_has_names_of_its_own_there(place: Place, tmp_path: Path) -> None:
    """A tour makes the very topic that the embedded lab uses; a lab elsewhere neither wants nor touches it."""
    tour = "web-events-partitioned"
    made = place.cluster.create_topic(tour, partitions=1, if_not_exists=True)
    try:
        command = [sys.executable, "-m", "rota", "lab", "-b", place.cluster.bootstrap, "--json"]
        done = subprocess.run(
            [*command, "--duration", "4"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert findings(done)["partitions"][0]["partition"] == "rota-lab-web-events-0"
        assert "topic is rota-lab-web-events, its group rota-lab." in done.stderr
        assert place.cluster.partition_counts([tour])[tour] == 1

        done = subprocess.run(
            [*command, "--topic", tour, "--svg", str(tmp_path / "lab.svg")],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 1
        assert "no lab made it" in done.stderr
        assert list(tmp_path.iterdir()) == [], "a lab that did not start leaves no empty picture"
    finally:
        if made:
            place.cluster.delete_topics([tour])
