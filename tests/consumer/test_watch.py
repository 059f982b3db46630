"""Records that take long are named, once for each attempt."""

from __future__ import annotations

import logging

import pytest
from tests.consumer.stage import Stage

from rota.consumer.clients.client import Message
from rota.consumer.core.state import Observer
from rota.consumer.handlers import Batch


class Heard(Observer):
    def __init__(self) -> None:
        self.told: list[tuple[int, int, int]] = []

    def slow(self, message: Message, running_ms: int, attempt: int) -> None:
        self.told.append((message.offset(), running_ms, attempt))


def slowly(stage: Stage, ms: int) -> None:
    for _ in range(ms // 5):
        stage.work(10)
        stage.tick(5)


def test_it_is_named_with_its_place_key_and_attempt_once(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    stage = Stage(observer=heard, slow=100)
    stage.produce(["a", "k" * 100])
    stage.stuck = {0, 1}
    stage.fetch()
    with caplog.at_level(logging.WARNING, "rota.consumer"):
        slowly(stage, 1_000)
    assert sorted(at for at, _, _ in heard.told) == [0, 1]
    assert all(100 <= ms <= 150 and attempt == 1 for _, ms, attempt in heard.told)
    told = sorted(caplog.messages)
    assert told[0].startswith("slow: orders-0 at offset 0 (key b'a') has been running for 1")
    assert told[0].endswith(" ms (attempt 1)")
    assert f"(key b'{'k' * 60}'...)" in told[1]


def test_each_attempt_is_told_of() -> None:
    heard = Heard()
    stage = Stage(observer=heard, slow=50, attempts=2)
    stage.produce(["a"])
    stage.fails[0] = OSError("not now")
    for _ in range(2):
        stage.stuck = {0}
        stage.fetch()
        slowly(stage, 200)
        stage.stuck = set()
        slowly(stage, 10)
    assert [(at, attempt) for at, _, attempt in heard.told] == [(0, 1), (0, 2)]


def test_what_is_quick_is_not_told_of() -> None:
    heard = Heard()
    stage = Stage(observer=heard, slow=100)
    for _ in range(50):
        stage.produce(["a", "b", "c"])
        stage.go_on(5)
    assert heard.told == []
    assert len(stage.done) == 150


def test_of_a_batch_the_first_record_is_named(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(order="partition", batch=Batch(4, 0), slow=100)
    stage.produce([None] * 4)
    stage.stuck = {2}
    stage.fetch()
    with caplog.at_level(logging.WARNING, "rota.consumer"):
        slowly(stage, 300)
    (told,) = caplog.messages
    assert told.startswith("slow: orders-0 at offset 0 with 3 more (key none) has been running for ")
