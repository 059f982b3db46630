"""``rota.testing.Broker`` with real consumers: both modes, and everything a test can do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.kafka.ports import PATIENCE_S
from tests.rehearsal.children import all_gone

from rota.model import RotaError
from rota.testing import Broker
from rota.testing import broker as broker_module
from rota.timeline.events import MemberJoined, MemberLeft, RebalanceReason, RebalanceStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

MODES = ("thread", "process")
LIMIT_S = PATIENCE_S

Mode = Literal["thread", "process"]


def create(broker: Broker, topic: str, partitions: int = 2) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(LIMIT_S)


def produce(broker: Broker, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(LIMIT_S) == 0


def until(condition: Callable[[], bool], what: str, *consumers: Consumer) -> None:
    """Let the consumers work until the condition holds."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        for consumer in consumers:
            consumer.poll(0.02)
        if not consumers:
            time.sleep(0.02)


@contextmanager
def member(broker: Broker, topic: str, name: str = "reader", *others: Consumer) -> Iterator[Consumer]:
    """A member of the group g that has its partitions; the other members go on meanwhile."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "g",
            "client.id": name,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 45_000,
            "heartbeat.interval.ms": 200,
        }
    )
    consumer.subscribe([topic])
    try:
        until(lambda: bool(consumer.assignment()), f"{name} gets partitions", consumer, *others)
        yield consumer
    finally:
        consumer.close()


def read(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "readers",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    found: list[bytes] = []
    deadline = time.monotonic() + LIMIT_S
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message.value() or b"")
    consumer.close()
    return sorted(found)


def reasons(broker: Broker) -> list[RebalanceReason]:
    return [event.reason for event in broker.events if isinstance(event, RebalanceStarted)]


@pytest.mark.parametrize("mode", MODES)
def test_serves_real_clients(mode: Mode) -> None:
    with Broker(mode=mode) as broker:
        create(broker, "orders")
        produce(broker, "orders", b"1", b"2", b"3")
        assert read(broker, "orders", 3) == [b"1", b"2", b"3"]
        assert (broker.pid == os.getpid()) == (mode == "thread")


@pytest.mark.parametrize("mode", MODES)
def test_restarts_on_the_same_port_with_the_same_data(mode: Mode, tmp_path: Path) -> None:
    with Broker(mode=mode, data_dir=tmp_path / "data") as broker:
        create(broker, "orders")
        produce(broker, "orders", b"before")
        address = broker.bootstrap_servers
        broker.restart()
        assert broker.bootstrap_servers == address
        produce(broker, "orders", b"later")
        assert read(broker, "orders", 2) == [b"before", b"later"]


def test_a_member_goes_on_after_a_restart(tmp_path: Path) -> None:
    with Broker(data_dir=tmp_path / "data") as broker:
        create(broker, "orders", 1)
        with member(broker, "orders") as consumer:
            broker.restart()
            produce(broker, "orders", b"after")
            values: list[bytes | None] = []

            def arrived() -> bool:
                message = consumer.poll(0.1)
                if message is not None and message.error() is None:
                    values.append(message.value())
                return bool(values)

            until(arrived, "the record written after the restart")
            assert values == [b"after"]


def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    with Broker(mode="process", data_dir=tmp_path / "data") as broker:
        create(broker, "orders")
        produce(broker, "orders", b"kept")
        killed = broker.pid
        broker.kill()
        assert all_gone({killed})
        broker.restart()
        assert broker.pid != killed
        assert read(broker, "orders", 1) == [b"kept"]


def test_only_a_process_can_be_killed_and_only_a_thread_be_steered() -> None:
    with Broker() as broker, pytest.raises(RotaError, match='mode="process"'):
        broker.kill()
    with Broker(mode="process") as broker:
        with pytest.raises(RotaError, match='mode="thread"'):
            broker.force_rebalance("g")
        with pytest.raises(RotaError, match='mode="thread"'):
            _ = broker.events


NOT_RUNNING: dict[str, Callable[[Broker], object]] = {
    "force_rebalance": lambda broker: broker.force_rebalance("g"),
    "expire_session": lambda broker: broker.expire_session("g", "m"),
    "advance_clock": lambda broker: broker.advance_clock(1),
    "events": lambda broker: broker.events,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NOT_RUNNING)
def test_a_broker_that_does_not_run_says_so(mode: Mode, name: str) -> None:
    with pytest.raises(RotaError, match="the broker is not running"):
        NOT_RUNNING[name](Broker(mode=mode))


def test_after_the_with_block_it_does_not_run() -> None:
    with Broker() as broker:
        assert broker.events == []
    with pytest.raises(RotaError, match="the broker is not running"):
        _ = broker.events


def test_it_has_an_address_only_once_it_has_been_started(tmp_path: Path) -> None:
    broker = Broker()
    with pytest.raises(RotaError, match="the broker has no address before it is started"):
        _ = broker.bootstrap_servers
    with broker:
        address = broker.bootstrap_servers
    assert broker.bootstrap_servers == address
    assert Broker(port=9099).bootstrap_servers == "127.0.0.1:9099"


def test_starting_twice_is_refused() -> None:
    with Broker() as broker, pytest.raises(RotaError, match="the broker runs already"):
        broker.start()


def test_killing_what_is_dead_does_nothing() -> None:
    broker = Broker(mode="process")
    broker.kill()
    with broker:
        broker.kill()
        broker.kill()
        with pytest.raises(RotaError, match="the broker is not running"):
            _ = broker.pid


def test_a_thread_that_keeps_nothing_cannot_be_restarted() -> None:
    with Broker() as broker:
        with pytest.raises(RotaError, match=r"nothing to come back to: .* data_dir"):
            broker.restart()
        create(broker, "still-there")


@pytest.mark.parametrize("mode", MODES)
def test_configs_may_be_numbers_and_truth_values(mode: Mode) -> None:
    configs: dict[str, str | float | bool] = {
        "num.partitions": 3,
        "auto.create.topics.enable": True,
        "compression.type": "lz4",
    }
    with Broker(configs, mode=mode) as broker:
        assert broker.configs["auto.create.topics.enable"] == "true"
        produce(broker, "made", b"1")
        metadata = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics("made", LIMIT_S)
        assert len(metadata.topics["made"].partitions) == 3


def test_another_value_of_a_config_is_refused() -> None:
    with pytest.raises(RotaError, match="wants a text, a number or a bool, not None"):
        Broker({"num.partitions": None})  # type: ignore[dict-item]


def test_values_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match='mode is "thread" or "process", not \'nope\''):
        Broker(mode="nope")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="port is from 0 \\(any free one\\) to 65535, not 70000"):
        Broker(port=70_000)
    with Broker() as broker, pytest.raises(ValueError, match="the clock only goes forward, not by -5 ms"):
        broker.advance_clock(-5)


def test_steering_names_the_group_and_the_member_that_are_not_there() -> None:
    with Broker() as broker:
        with pytest.raises(RotaError, match="there is no group 'orders'"):
            broker.expire_session("orders", "nope")
        with pytest.raises(RotaError, match="there is no group 'orders'"):
            broker.force_rebalance("orders")
        create(broker, "orders")
        with member(broker, "orders"), pytest.raises(RotaError, match="group 'g' has no member 'nope'"):
            broker.expire_session("g", "nope")


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_config_is_refused(mode: Mode) -> None:
    with pytest.raises(RotaError, match="unknown broker config 'nope'"):
        Broker({"nope": "1"}, mode=mode).start()


def test_stopping_twice_is_stopping_once() -> None:
    broker = Broker().start()
    broker.stop()
    broker.stop()


def test_an_expired_session_ends_the_membership_and_the_events_say_why() -> None:
    with Broker() as broker:
        create(broker, "orders")
        with member(broker, "orders", "first") as first, member(broker, "orders", "second", first) as second:
            until(lambda: len(first.assignment()) == 1, "they share", first, second)
            (victim,) = (
                event.member
                for event in broker.events
                if isinstance(event, MemberJoined) and event.client_id == "second"
            )
            broker.expire_session("g", victim)
            gone = [event for event in broker.events if isinstance(event, MemberLeft)]
            assert [(event.member, event.reason) for event in gone] == [
                (victim, RebalanceReason.SESSION_EXPIRED)
            ]
            assert reasons(broker)[-1] == RebalanceReason.SESSION_EXPIRED
            until(lambda: len(first.assignment()) == 2, "the first reads all", first)


def test_a_forced_rebalance_carries_its_reason() -> None:
    with Broker() as broker:
        create(broker, "orders")
        with member(broker, "orders") as consumer:
            before = len(reasons(broker))
            broker.force_rebalance("g", "a test wants it")
            started = [event for event in broker.events if isinstance(event, RebalanceStarted)]
            assert len(started) == before + 1
            assert "a test wants it" in str(started[-1])
            until(lambda: bool(consumer.assignment()), "it joins again", consumer)


def test_a_clock_that_jumps_ends_sessions() -> None:
    """A member that sends nothing in between: its session is over when 46 seconds have passed at once."""
    with Broker() as broker:
        create(broker, "orders")
        with member(broker, "orders"):
            assert not any(isinstance(event, MemberLeft) for event in broker.events)
            broker.advance_clock(46_000)
            (gone,) = (event for event in broker.events if isinstance(event, MemberLeft))
            assert gone.reason == RebalanceReason.SESSION_EXPIRED


def test_only_the_last_events_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broker_module.MOST_EVENTS == 100_000
    monkeypatch.setattr(broker_module, "MOST_EVENTS", 3)
    with Broker() as broker:
        create(broker, "orders", 1)
        with member(broker, "orders") as consumer:
            produce(broker, "orders", b"1")
            for offset in range(5):
                consumer.commit(offsets=[TopicPartition("orders", 0, offset)], asynchronous=False)
            kept = broker.events
            assert len(kept) == 3
            assert "offset=4" in str(kept[-1])


OWNER = """
import sys, time
from rota.testing import Broker
broker = Broker(mode="process").start()
print(broker.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_broker_does_not_outlive_a_killed_test_run(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        os.kill(pid, 0)
        owner.send_signal(number)
    assert all_gone({pid}, within_s=LIMIT_S)
