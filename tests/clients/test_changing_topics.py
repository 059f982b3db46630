"""Topics that come, go and come again under the groups that consume them, and records that a topic refuses."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.cimpl import NewTopic
from tests.clients.desk import Desk
from tests.kafka.ports import PATIENCE_S, wait_until

LIBRDKAFKAS = ("confluent", "confluent-848")


def delete(desk: Desk, topic: str) -> None:
    """Delete a topic and wait until nobody is told of it any more."""
    desk.admin.delete_topics([topic])[topic].result(PATIENCE_S)
    wait_until(f"{topic} is gone", lambda: topic not in desk.admin.list_topics(timeout=10).topics)


def wait_committed(desk: Desk, group: str, topic: str, offsets: list[int]) -> None:
    """Wait until just these offsets of one topic are committed, by partition."""

    def reached() -> bool:
        with suppress(KafkaException):  # the coordinator may still be loading
            found = desk.committed(group)
            return {tp: offset for tp, offset in found.items() if tp[0] == topic} == {
                (topic, partition): offset for partition, offset in enumerate(offsets)
            }
        return False

    wait_until(f"{group} has committed {offsets} of {topic}", reached)


@pytest.mark.parametrize("client", LIBRDKAFKAS)
def test_a_topic_that_is_made_again_is_read_from_its_beginning(desk: Desk, client: str) -> None:
    """The new topic has fewer records than were read of the old one, and other partitions."""
    topic, other, group = desk.topic("again", 3), desk.topic("other", 1), desk.name("again")
    member = desk.member(client, group, (topic, other), metadata_max_age_ms=500, commit_each_poll=True)
    desk.produce(topic, per_partition=3, partitions=3)
    wait_committed(desk, group, topic, [3] * 3)
    delete(desk, topic)
    wait_committed(desk, group, topic, [])
    seen = len(member.records)
    assert seen == 9
    desk.admin.create_topics([NewTopic(topic, 5, 1)])[topic].result(PATIENCE_S)
    desk.wait_topic(topic, 5)
    second = desk.produce(topic, per_partition=2, first=100)
    wait_committed(desk, group, topic, [2] * 5)
    assert {each.value for each in member.records[seen:]} == {b"100", b"101"}
    desk.wait_stable(group, [member], [*second, (other, 0)])


@pytest.mark.parametrize("client", LIBRDKAFKAS)
def test_topics_that_match_a_pattern_come_and_go(desk: Desk, client: str) -> None:
    prefix, group = desk.name("match"), desk.name("match")
    first = desk.topic(prefix, 2)
    member = desk.member(client, group, f"^{prefix}-.*", metadata_max_age_ms=500)
    desk.wait_stable(group, [member], [(first, number) for number in range(2)])
    second = desk.topic(prefix, 3)
    both = [(first, number) for number in range(2)] + [(second, number) for number in range(3)]
    desk.wait_stable(group, [member], both)
    delete(desk, first)
    desk.wait_stable(group, [member], both[2:])


def test_a_producer_hears_which_records_are_refused(desk: Desk) -> None:
    """A batch with two records without a key: a compacted topic takes none of it, and says which were the two."""
    topic = desk.topic("keys", 1, {"cleanup.policy": "compact"})
    producer = Producer(
        {"bootstrap.servers": desk.bootstrap_servers, "linger.ms": 500, "retries": 0, "log_level": 0}
    )
    told: dict[int, str] = {}

    def hear(number: int) -> Callable[[KafkaError | None, Message], None]:
        return lambda error, _: told.update({number: "" if error is None else error.name()})

    for number in range(10):
        key = None if number in {3, 7} else b"k"
        producer.produce(topic, b"v", key=key, partition=0, on_delivery=hear(number))
    assert producer.flush(PATIENCE_S) == 0
    assert Counter(told.values()) == {"INVALID_RECORD": 2, "_INVALID_DIFFERENT_RECORD": 8}
    assert (told[3], told[7]) == ("INVALID_RECORD", "INVALID_RECORD")
    assert desk.end_offsets(topic, [0]) == {0: 0}
