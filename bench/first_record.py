"""The client program of the cold-start benchmark, the same for every broker.

A topic is made, one record produced, and a group of one consumer reads it: the first moment at which a test
or a lesson gets something from a broker.
"""

import time

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TOPIC = "first"
TIMEOUT_S = 60.0


def consume_first_record(bootstrap_servers: str) -> None:
    """Return as soon as a group has consumed the first record; TimeoutError after a minute."""
    common: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap_servers,
        "log_level": 0,
        "reconnect.backoff.ms": 10,
        "reconnect.backoff.max.ms": 50,
        "retry.backoff.ms": 50,
    }
    deadline = time.monotonic() + TIMEOUT_S
    admin = AdminClient(common)
    while True:
        try:
            admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(TIMEOUT_S)
            break
        except KafkaException:
            _check(deadline, "no topic could be made")
            time.sleep(0.01)
    producer = Producer(common)
    producer.produce(TOPIC, b"hello", key=b"first")
    assert producer.flush(TIMEOUT_S) == 0
    group: dict[str, str | int | float | bool] = {
        "group.id": "first",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(common | group | {"topic.metadata.refresh.interval.ms": 1_000})
    try:
        consumer.subscribe([TOPIC])
        while True:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                assert message.value() == b"hello"
                return
            _check(deadline, "no record arrived")
    finally:
        consumer.close()


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"{what} in {TIMEOUT_S:g} s")
