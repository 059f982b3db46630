"""Records that no attempt can handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer
from tests.kafka.ports import PATIENCE_S

if TYPE_CHECKING:
    from tests.consumer.stories.stage import Stage


def test_a_poison_pill_goes_to_the_dead_letter_topic_and_its_key_goes_on(stage: Stage) -> None:
    letters = f"{stage.topic}.dlq"
    stage.create_topic(letters, partitions=1)
    for number in range(100):
        stage.send(f"key-{number % 10}", b"poison" if number == 42 else b"x", number % 10 % 4)
    stage.flush()
    dead = {(2 % 4, _offset_of(42))}
    member = stage.start("member", retry={"attempts": 3, "backoff": [0.05, 0.1]}, dead_letter=letters)
    stage.wait_finished(but=dead)
    member.term()
    account = stage.account(dead)
    assert account.missing(stage.ends) == set()
    assert account.repeated() == set()
    assert account.out_of_order() == []
    assert [each.number for each in member.attempts() if each.place in dead] == [1, 2, 3]
    stage.check_all_committed()
    (letter,) = _letters(stage, letters)
    assert letter["value"] == "poison"
    headers = letter["headers"]
    assert headers["rota-original-topic"] == stage.topic
    assert (int(headers["rota-original-partition"]), int(headers["rota-original-offset"])) in dead
    assert headers["rota-attempts"] == "3"


def test_a_poison_pill_without_a_dead_letter_topic_stops_the_consumer_and_is_not_lost(stage: Stage) -> None:
    for number in range(40):
        stage.send(f"key-{number % 8}", b"poison" if number == 20 else b"x", number % 4)
    stage.flush()
    member = stage.start("member")
    code = member.wait_ended()
    assert code == 1
    assert f"{stage.topic}-0 at offset 5 failed" in member.said
    assert stage.committed()[0].offset <= 5
    assert not stage.committed()[0].covers(5)


def _offset_of(number: int) -> int:
    """Which offset the record with this number has in its partition."""
    return sum(1 for earlier in range(number) if earlier % 10 % 4 == number % 10 % 4)


def _letters(stage: Stage, topic: str) -> list[dict[str, Any]]:
    """What is in the dead-letter topic: one record, and nothing behind it."""
    consumer = Consumer(
        {
            "bootstrap.servers": stage.bootstrap,
            "group.id": f"{stage.group}-reader",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([topic])
    found: list[dict[str, Any]] = []
    try:
        while True:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, "the dead-letter topic does not answer"
            if message.error() is not None:
                return found
            headers: Any = message.headers() or []
            found.append(
                {
                    "value": (message.value() or b"").decode(),
                    "headers": {name: (value or b"").decode() for name, value in headers},
                }
            )
    finally:
        consumer.close()
