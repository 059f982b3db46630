"""Topics for the contests, filled by sending the same few batches over and over.

Six partitions; values of 100 bytes; 10,000 keys, each in the partition that is its number modulo 6.
"""

from __future__ import annotations

import itertools
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.load import Client, create_topic, delete_topic, log_end, produce_frame, pump

from rota.wire.records import build_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KEYS", "PARTITIONS", "VALUE", "filled", "fresh", "key_of", "occurrences"]

PARTITIONS = 6
KEYS = 10_000
VALUE = b"v" * 100
_BATCHES = 3
_BATCH = 2_000
_STEP = PARTITIONS * _BATCHES * _BATCH

_numbers = itertools.count(1)


def key_of(number: int) -> bytes:
    return b"key-%d" % number


@contextmanager
def fresh(bootstrap: str, stem: str) -> Iterator[str]:
    """The name of a topic that is new, and is deleted in the end."""
    name = f"{stem}-{next(_numbers)}-{time.time_ns() % 10**9}"
    with Client(bootstrap) as client:
        create_topic(client, name, PARTITIONS)
    try:
        yield name
    finally:
        with Client(bootstrap) as client:
            delete_topic(client, name)


@contextmanager
def filled(bootstrap: str, stem: str, count: int) -> Iterator[tuple[str, int]]:
    """The name of a new topic and how many records it has: ``count`` or up to 36,000 more."""
    each = -(-count // _STEP)
    with fresh(bootstrap, stem) as name:
        with Client(bootstrap) as client:
            for partition in range(PARTITIONS):
                for batch in _batches(partition):
                    pump(client.socket, produce_frame(name, batch, partition), 4, total=each - 1)
                end = log_end(client, name, partition)
                assert end == each * _BATCHES * _BATCH, "an answer was no acknowledgement"
        yield name, each * _STEP


def _batches(partition: int) -> list[bytes]:
    now_ms = int(time.time() * 1000)
    return [
        bytes(build_batch([(key_of(number), VALUE, now_ms, []) for number in numbers]))
        for numbers in _drawn(partition)
    ]


def _drawn(partition: int) -> list[list[int]]:
    """The keys of each batch, drawn at random, the same in every run."""
    draw = random.Random(partition)
    keys = range(partition, KEYS, PARTITIONS)
    return [[draw.choice(keys) for _ in range(_BATCH)] for _ in range(_BATCHES)]


def occurrences(number: int, count: int) -> int:
    """How many of the ``count`` records of a filled topic have this key."""
    return sum(batch.count(number) for batch in _drawn(number % PARTITIONS)) * (count // _STEP)
