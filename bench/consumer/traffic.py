"""A producer at a steady pace, in a process of its own: ``python -m bench.consumer.traffic BOOTSTRAP TOPIC RATE``.

Ends on SIGTERM, when everything is acknowledged; says how many records that were and when the last was sent.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time

from bench.consumer.topics import KEYS, PARTITIONS, VALUE, key_of
from confluent_kafka import Producer

_STEP_S = 0.01


def main() -> None:
    bootstrap, topic, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5})
    keys = [(key_of(number), number % PARTITIONS) for number in range(KEYS)]
    sent = 0
    began = time.monotonic()
    while not stop.is_set():
        due = int((time.monotonic() - began) * rate)
        for number in range(sent, due):
            key, partition = keys[number * 7919 % KEYS]  # a prime: all keys, far from each other
            producer.produce(topic, VALUE, key, partition=partition)
        sent = max(sent, due)
        producer.poll(0)
        time.sleep(_STEP_S)
    last = time.monotonic()
    left = producer.flush(60)
    sys.stdout.write(json.dumps({"sent": sent, "unacknowledged": left, "last": last}) + "\n")


main()
