"""Apps as members of groups, on a real broker through the real client: hooks, rebalances, patterns, static ids."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from tests.consumer.kafka_tools import Order, app_for, committed, create, orders, produce, total_committed
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer import App, Handler, Record
from rota.model import RotaError, TopicPartition
from rota.testing import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker({"auto.create.topics.enable": False}) as broker:
        yield broker


class Loader(Handler):
    """Notes what it is told, and what the group has committed when its partitions go."""

    topics = "orders"
    order = "partition"

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.events: list[str] = []
        self.handled = 0
        self.committed_at_the_end = 0
        self.threads: set[str] = set()

    def on_assigned(self, partitions: Sequence[TopicPartition], /) -> None:
        self.threads.add(threading.current_thread().name)
        self.events.append(f"assigned {sorted(partition.partition for partition in partitions)}")

    def process(self, record: Record[Order]) -> None:
        assert self.events, "told of the partition before its first record"
        assert record.value.id >= 0
        self.handled += 1

    def on_revoked(self, partitions: Sequence[TopicPartition], lost: bool, /) -> None:
        self.threads.add(threading.current_thread().name)
        self.committed_at_the_end = total_committed(self.broker, "orders", 2)
        self.events.append(f"revoked {sorted(partition.partition for partition in partitions)} {lost}")


def test_hooks_are_called_before_the_first_record_and_after_the_commit(broker: Broker) -> None:
    orders(broker)
    app = app_for(broker)
    loader = app.add(Loader(broker))
    with app.start():
        wait_until("all records", lambda: loader.handled >= 100)
    assert loader.events == ["assigned [0, 1]", "revoked [0, 1] False"]
    assert loader.committed_at_the_end == 100
    assert loader.threads == {"rota-owner"}


def test_a_hook_hears_of_lost_partitions(broker: Broker) -> None:
    orders(broker)
    app = app_for(broker, {"session.timeout.ms": 6000})
    loader = app.add(Loader(broker))
    with app.start() as running:
        wait_until("all records", lambda: loader.handled >= 100)
        (member,) = _members(broker)
        broker.expire_session("g", member)
        wait_until("a second assignment", lambda: len(loader.events) >= 3)
        assert loader.events[:3] == ["assigned [0, 1]", "revoked [0, 1] True", "assigned [0, 1]"]
        produce(broker, "orders", [b'{"id": 1}'] * 10)
        wait_until("more records", lambda: loader.handled >= 110)
        running.stop()


def _members(broker: Broker) -> list[str]:
    from rota.cluster import Cluster

    cluster = Cluster(broker.bootstrap_servers)
    answer = cluster.describe_groups(["g"])["g"]
    assert not isinstance(answer, RotaError)
    return [member.member_id for member in answer.members]


@pytest.mark.parametrize("hook", ["on_assigned", "on_revoked"])
def test_an_exception_in_a_hook_stops_the_consumer_in_order(broker: Broker, hook: str) -> None:
    orders(broker)
    app = app_for(broker)
    seen: list[int] = []

    def fail(*_: object) -> None:
        raise ValueError("no room")

    def process(_self: object, record: Record[Order]) -> None:
        seen.append(record.value.id)

    loader = type("Loader", (Handler,), {"topics": "orders", hook: fail, "process": process})
    app.add(loader())
    running = app.start()
    if hook == "on_revoked":
        wait_until("all records", lambda: len(seen) >= 100)
        running.stop_soon()
    with pytest.raises(RotaError, match=rf"{hook} of Loader raised ValueError: no room"):
        running.wait(PATIENCE_S)
    assert sorted(seen) == ([] if hook == "on_assigned" else list(range(100)))
    assert total_committed(broker, "orders", 2) == len(seen)
    wait_until("its leaving of the group", lambda: not _members(broker))


GROUPS: list[Any] = [
    pytest.param({"partition.assignment.strategy": "range"}, id="range"),
    pytest.param({"partition.assignment.strategy": "roundrobin"}, id="roundrobin"),
    pytest.param({"partition.assignment.strategy": "cooperative-sticky"}, id="cooperative-sticky"),
    pytest.param({"group.instance.id": "a"}, id="static"),
    pytest.param({"group.protocol": "consumer"}, id="consumer"),
    pytest.param(
        {"group.protocol": "consumer", "group.remote.assignor": "range", "group.instance.id": "a"},
        id="consumer-static",
    ),
]


@pytest.mark.parametrize("config", GROUPS)
def test_a_second_member_takes_over_without_loss_or_repetition(
    broker: Broker, config: dict[str, Any]
) -> None:
    create(broker, "orders", 4)
    seen: list[tuple[str, int]] = []

    def member(name: str) -> App:
        own = {**config, "group.instance.id": name} if "group.instance.id" in config else config
        app = app_for(broker, own)

        @app.handler("orders")
        def handle(record: Record[Order]) -> None:
            time.sleep(0.001)
            seen.append((name, record.value.id))

        return app

    produced = 0

    def works(name: str) -> bool:
        nonlocal produced
        produce(broker, "orders", (b'{"id": %d}' % (produced + index) for index in range(50)))
        produced += 50
        return any(who == name for who, _ in seen)

    with member("first").start():
        wait_until("the first at work", lambda: works("first"))
        with member("second").start():
            wait_until("the second at work", lambda: works("second"))
        with member("second").start():  # a static member's partitions wait for its return
            wait_until("all records", lambda: len({number for _, number in seen}) >= produced)
    assert Counter(number for _, number in seen) == Counter(range(produced))
    assert total_committed(broker, "orders", 4) == produced


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_pattern_is_many_topics(broker: Broker, protocol: str) -> None:
    for name in ("orders-eu", "orders-us", "other"):
        create(broker, name)
        produce(broker, name, [b"1"] * 10)
    app = app_for(broker, {"group.protocol": protocol})
    seen: dict[str, Counter[str]] = defaultdict(Counter)

    @app.handler("^orders-.*", "other")
    def handle(record: Record[bytes]) -> None:
        seen["first"][record.topic] += 1

    with app.start():
        wait_until("all records", lambda: sum(seen["first"].values()) >= 30)
    assert seen["first"] == Counter({"orders-eu": 10, "orders-us": 10, "other": 10})
    assert committed(broker, "orders-us") == 10


def test_a_topic_that_two_patterns_match_stops_the_consumer(broker: Broker) -> None:
    create(broker, "orders-eu")
    produce(broker, "orders-eu", [b"1"] * 10)
    app = app_for(broker)
    seen: list[object] = []
    app.handler("^orders-.*")(seen.append)
    app.handler("^.*-eu")(seen.append)
    with pytest.raises(
        RotaError, match=r"the topic orders-eu matches \^orders-\.\* and \^\.\*-eu: which handler"
    ):
        app.start().wait(PATIENCE_S)
    assert seen == []
    assert committed(broker, "orders-eu") is None


def test_an_exception_inside_a_rebalance_is_not_lost(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(broker)
    app = app_for(broker)
    seen: list[object] = []
    app.handler("orders")(seen.append)

    def broken(*_: object) -> None:
        raise AssertionError("a bug in the engine")

    monkeypatch.setattr("rota.consumer.core.engine.Engine.assigned", broken)
    with pytest.raises(AssertionError, match="a bug in the engine"):
        app.start().wait(PATIENCE_S)
    assert seen == []
    wait_until("its leaving of the group", lambda: not _members(broker))


def test_an_exception_with_records_under_way_commits_nothing_that_was_not_handed_out(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders(broker)
    app = app_for(broker)
    app.handler("orders")(lambda _: None)

    def broken(*_: object) -> None:
        raise AssertionError("a bug in the engine")

    monkeypatch.setattr("rota.consumer.core.engine.Engine.dispatch", broken)
    with pytest.raises(AssertionError, match="a bug in the engine"):
        app.start().wait(PATIENCE_S)
    assert total_committed(broker, "orders", 2) == 0


def test_a_member_whose_static_id_is_taken_ends_with_that_error(broker: Broker) -> None:
    orders(broker)
    seen: list[str] = []

    def member(name: str) -> App:
        app = app_for(broker, {"group.instance.id": "billing-0"})

        @app.handler("orders")
        def handle(record: Record[bytes]) -> None:
            seen.append(name)

        return app

    first = member("first").start()
    wait_until("the first at work", lambda: "first" in seen)
    with member("second").start():

        def second_works() -> bool:
            produce(broker, "orders", [b"{}"] * 10)
            return "second" in seen

        wait_until("the second at work", second_works)
        with pytest.raises(
            RotaError, match=r"another member has this group\.instance\.id now, and only one can"
        ):
            first.wait(PATIENCE_S)


def test_a_group_that_has_nowhere_to_begin_ends_if_that_is_an_error(broker: Broker) -> None:
    orders(broker)
    app = app_for(broker, {"auto.offset.reset": "error"})
    seen: list[object] = []
    app.handler("orders")(seen.append)
    with pytest.raises(RotaError, match=r"a partition of orders has no record where the group would begin"):
        app.start().wait(PATIENCE_S)
    assert seen == []
