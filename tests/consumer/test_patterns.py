"""Topics by regular expression, on both brokers, and which handler they are for."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.consumer.kafka_tools import app_for, create, produce, total_committed
from tests.consumer.stage import Stage
from tests.kafka.ports import wait_until

from rota.consumer import Record
from rota.consumer.patterns import ByTopic
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_pattern_is_many_topics_and_those_that_come_later(broker: BrokerUnderTest, protocol: str) -> None:
    stem = f"{os.getpid()}-{uuid.uuid4().hex[:6]}"
    topics = [f"{stem}-eu", f"{stem}-us", f"{stem}-later"]
    for topic in topics[:2]:
        create(broker, topic)
        produce(broker, topic, [b"1"] * 10)
    group = {"group.id": stem, "group.protocol": protocol, "topic.metadata.refresh.interval.ms": 500}
    app = app_for(broker, group)
    seen: Counter[str] = Counter()

    @app.handler(f"^{stem}-.*")
    def handle(record: Record[bytes]) -> None:
        seen[record.topic] += 1

    with app.start():
        wait_until("the records of two topics", lambda: seen.total() >= 20)
        create(broker, topics[2])
        produce(broker, topics[2], [b"1"] * 10)
        wait_until("the records of a new topic", lambda: seen.total() >= 30)
    assert seen == Counter(dict.fromkeys(topics, 10))
    assert [total_committed(broker, topic, 1, stem) for topic in topics] == [10, 10, 10]


def test_names_come_before_patterns_and_are_remembered() -> None:
    by_topic = ByTopic({"orders": 1, "^or.*": 1, "^returns-.*": 2})
    assert [by_topic[topic] for topic in ("orders", "orders-eu", "returns-eu")] == [1, 1, 2]
    assert "returns-eu" in by_topic


@pytest.mark.filterwarnings("ignore:Possible nested set")  # the language of POSIX, which librdkafka's is like
def test_the_only_pattern_has_what_the_client_says_it_matches() -> None:
    assert ByTopic({"orders": 1, "^[[:alpha:]]+$": 2})["returns"] == 2


def test_a_topic_of_nobody_or_of_two_is_an_error() -> None:
    with pytest.raises(RotaError, match="no handler has the topic returns"):
        ByTopic({"orders": 1})["returns"]
    with pytest.raises(RotaError, match=r"the topic ab matches \^a and \^\.b: which handler is it for\?"):
        ByTopic({"^a": 1, "^.b": 2})["ab"]


def test_a_new_topic_that_is_nobodys_ends_the_consumer_in_order() -> None:
    stage = Stage()
    stage.produce(["a", "b"])
    stage.fetch()
    stage.work()
    new = TopicPartition("payments", 0)
    stage.kafka.produce(new, b"c")
    stage.engine._routes = ByTopic(stage.engine.routes)
    stage.client.assign([new])
    stage.fetch()
    assert stage.engine.stopping == "no handler has the topic payments"
    assert stage.engine.finish()
    assert stage.committed() == 2
    assert new not in stage.kafka.committed
    assert sorted(stage.begun) == [0, 1]
