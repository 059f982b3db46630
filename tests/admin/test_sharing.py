"""One ``Admin`` in several threads, over a fork, after it was closed, and while its broker restarts."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.kafka.ports import PATIENCE_S

from rota.admin import Admin, scan
from rota.model import TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk


def test_threads_ask_at_the_same_time(admin: Admin, desk: Desk) -> None:
    topic = desk.topic("orders", 4)
    parts = [TopicPartition(topic, number) for number in range(4)]
    groups = [desk.name("group") for _ in range(8)]
    plans = {group: {tp: Commit(number) for tp in parts} for number, group in enumerate(groups)}

    def ask(group: str) -> object:
        assert admin.alter_offsets(group, plans[group]) == dict.fromkeys(parts)
        return [admin.commits([group])[group] for _ in range(5)]

    with ThreadPoolExecutor(len(groups)) as pool:
        for group, answers in zip(groups, pool.map(ask, groups), strict=True):
            assert answers == [plans[group]] * 5


def _ask_in_child(admin: Admin, results: Any) -> None:
    results.put(len(admin.nodes()))
    admin.close()


def test_a_fork_makes_connections_of_its_own(admin: Admin) -> None:
    assert len(admin.nodes()) == 1
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_ask_in_child, args=(admin, results))
    child.start()
    child.join(PATIENCE_S)
    assert child.exitcode == 0
    assert results.get() == 1
    assert len(admin.nodes()) == 1


def test_closed_it_holds_nothing_and_opens_again(broker: BrokerUnderTest) -> None:
    before = threading.active_count()
    admin = Admin(broker.bootstrap_servers, timeout_s=PATIENCE_S)
    admin.close()
    assert len(admin.nodes()) == 1
    admin.close()
    admin.close()
    assert threading.active_count() == before
    assert len(admin.nodes()) == 1
    admin.close()


def test_a_broker_that_restarts_is_asked_again(own_broker: BrokerUnderTest) -> None:
    with Admin(own_broker.bootstrap_servers, timeout_s=PATIENCE_S) as admin:
        assert scan(admin).groups == {}
        own_broker.restart()
        assert scan(admin).failures == {}
        own_broker.kill()
        own_broker.start()
        assert len(admin.nodes()) == 1
