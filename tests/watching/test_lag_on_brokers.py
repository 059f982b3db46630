"""The pitfalls of lag, provoked on both brokers; the rules alone are tested in tests/monitor/test_lag.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as ConfluentPartition
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import Admin
from rota.model import TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.view import GroupView, Level, Method, PartitionView, Quality
from rota.watching.looking import HEADERS, Looking
from rota.watching.watch import Watch

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk

HOUR_MS = 3_600_000


class Bench:
    """A topic of one partition, a group that commits by hand, and looks at it."""

    def __init__(self, desk: Desk, admin: Admin) -> None:
        self.desk = desk
        self.admin = admin
        self.group = desk.name("group")

    def topic(self, **config: str) -> TopicPartition:
        settings = {name.replace("_", "."): value for name, value in config.items()}
        return TopicPartition(self.desk.topic("lag", 1, settings), 0)

    def produce(self, part: TopicPartition, count: int, at_ms: int = 0, writer: str = "") -> None:
        """Records with keys; ``at_ms`` is their timestamp, 0 for the clock; with a ``writer`` one transaction."""
        config = {"bootstrap.servers": self.desk.bootstrap_servers, "log_level": 0}
        producer = Producer(config | ({"transactional.id": writer} if writer else {}))
        if writer:
            producer.init_transactions(PATIENCE_S)
            producer.begin_transaction()
        for number in range(count):
            producer.produce(part.topic, b"x", str(number), partition=part.partition, timestamp=at_ms)
        assert producer.flush(PATIENCE_S) == 0
        if writer:
            producer.commit_transaction(PATIENCE_S)

    def commit(self, part: TopicPartition, offset: int, group: str | None = None) -> None:
        refused = self.admin.alter_offsets(group or self.group, {part: Commit(offset)})
        assert refused == {part: None}

    def looking(self, headers: int = HEADERS) -> Looking:
        return Looking(self.admin, groups=[self.group], headers=headers)

    def view(self, looking: Looking | None = None) -> PartitionView:
        (view,) = self.group_view(looking).partitions
        return view

    def group_view(self, looking: Looking | None = None) -> GroupView:
        seen = (looking or self.looking()).look()
        assert seen.failure is None
        return seen.views[self.group]


@pytest.fixture
def admin(broker: BrokerUnderTest) -> Iterator[Admin]:
    with Admin(broker.bootstrap_servers, timeout_s=PATIENCE_S) as asking:
        yield asking


@pytest.fixture
def bench(desk: Desk, admin: Admin) -> Bench:
    return Bench(desk, admin)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_group_behind_on_an_idle_topic_is_as_late_as_its_first_record(bench: Bench) -> None:
    part = bench.topic()
    at_ms = now_ms() - HOUR_MS
    bench.produce(part, 5, at_ms)
    bench.produce(part, 5, at_ms + 60_000)
    bench.commit(part, 5)
    looking = bench.looking()
    first = bench.view(looking)
    assert (first.lag, first.time.method, first.time.quality) == (5, Method.RECORD, Quality.EXACT)
    assert first.time.seconds is not None
    assert first.time.event_delay_s == 0.0
    late_s = (now_ms() - at_ms - 60_000) / 1_000
    assert late_s - PATIENCE_S < first.time.seconds <= late_s
    bench.commit(part, 0)
    second = bench.view(looking)
    assert (second.lag, second.time.event_delay_s) == (10, 60.0)
    bench.commit(part, 10)
    third = bench.view(looking)
    assert (third.lag, third.time.seconds, third.time.method) == (0, 0.0, Method.CAUGHT_UP)


def test_without_reading_records_a_search_finds_the_same(bench: Bench) -> None:
    part = bench.topic()
    at_ms = now_ms() - HOUR_MS
    for number in range(4):
        bench.produce(part, 2, at_ms + number * 600_000)
    bench.commit(part, 3)
    looking = bench.looking(headers=0)
    found = bench.view(looking)
    for _ in range(5):
        found = bench.view(looking)
    assert found.time.method is Method.SEARCH
    assert found.time.quality in {Quality.EXACT, Quality.ABOUT}
    assert found.time.seconds == pytest.approx((now_ms() - at_ms - 600_000) / 1_000, rel=0.05)


def test_a_record_from_the_future_has_no_age(bench: Bench) -> None:
    part = bench.topic()
    bench.produce(part, 1, now_ms() + HOUR_MS // 2)
    bench.commit(part, 0)
    view = bench.view()
    assert (view.lag, view.time.seconds, view.time.quality) == (1, None, Quality.CLOCK)
    looking = bench.looking(headers=0)
    assert bench.view(looking).time.quality is Quality.CLOCK


def test_where_brokers_stamp_records_producers_clocks_do_not_matter(bench: Bench) -> None:
    part = bench.topic(message_timestamp_type="LogAppendTime")
    bench.produce(part, 3, now_ms() - HOUR_MS)
    bench.commit(part, 1)
    view = bench.view()
    assert view.time.quality is Quality.EXACT
    assert view.time.seconds is not None
    assert view.time.seconds < HOUR_MS / 1_000 - 1


def test_when_only_the_marker_of_a_transaction_is_left_nothing_is(bench: Bench) -> None:
    part = bench.topic()
    name = bench.desk.name("writer")
    bench.produce(part, 3, writer=name)
    bench.commit(part, 3)
    looking = bench.looking()
    wait_until("the marker is in the log", lambda: bench.view(looking).end == 4)
    view = bench.view(looking)
    assert (view.lag, view.time.seconds, view.end) == (0, 0.0, 4)
    bench.produce(part, 3, writer=name)
    wait_until("the second marker is in the log", lambda: bench.view(looking).end == 8)
    behind = bench.view(looking)
    assert (behind.lag, behind.at_most) == (4, True)
    assert behind.time.method is Method.RECORD


def test_an_open_transaction_holds_readers_of_committed_records_up(bench: Bench) -> None:
    part = bench.topic()
    bench.produce(part, 2)
    producer = Producer(
        {
            "bootstrap.servers": bench.desk.bootstrap_servers,
            "transactional.id": bench.desk.name("writer"),
            "log_level": 0,
        }
    )
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(part.topic, b"x", partition=0)
    assert producer.flush(PATIENCE_S) == 0
    bench.commit(part, 1)
    view = bench.view()
    assert (view.lag, view.end, view.stable, view.blocked_by_transaction) == (4, 5, 2, 3)
    producer.abort_transaction(PATIENCE_S)
    wait_until("the transaction has ended", lambda: bench.view().stable == 6)
    assert bench.view().blocked_by_transaction == 0


def test_of_a_compacted_topic_there_may_be_fewer_records(bench: Bench) -> None:
    part = bench.topic(cleanup_policy="compact")
    bench.produce(part, 4)
    bench.commit(part, 1)
    view = bench.view()
    assert (view.lag, view.at_most) == (3, True)


def test_what_was_deleted_before_it_was_read_is_lost(bench: Bench) -> None:
    part = bench.topic()
    at_ms = now_ms() - HOUR_MS
    bench.produce(part, 10, at_ms)
    bench.commit(part, 2)
    gone = [ConfluentPartition(part.topic, part.partition, 6)]
    for future in bench.desk.admin.delete_records(gone).values():
        future.result(PATIENCE_S)
    wait_until("the log begins later", lambda: bench.view().start == 6)
    view = bench.view()
    assert (view.lost, view.lag, view.time.quality) == (4, 4, Quality.AT_LEAST)


def test_a_commit_beyond_the_end_is_told_when_two_looks_see_it(bench: Bench) -> None:
    part = bench.topic()
    bench.produce(part, 3)
    bench.commit(part, 10)
    looking = bench.looking()
    assert (bench.view(looking).lag, bench.view(looking).beyond_end) == (0, 7)


def test_assigned_partitions_without_a_commit_are_counted_and_in_no_sum(bench: Bench) -> None:
    topic = bench.desk.topic("lag", 2)
    bench.desk.produce(topic, 4, partitions=2)
    member = bench.desk.member("confluent", bench.group, topic)
    bench.desk.wait_stable(bench.group, [member], [(topic, 0), (topic, 1)])
    view = bench.group_view()
    assert (view.totals.partitions, view.totals.uncommitted, view.totals.lag) == (2, 2, 0)
    assert {each.lag for each in view.partitions} == {None}
    (held,) = view.members
    assert (held.member.client_id, held.totals.partitions) == (member.config.client_id, 2)


def test_a_group_that_assigns_by_hand_is_a_group_without_members(bench: Bench) -> None:
    part = bench.topic()
    bench.produce(part, 4)
    bench.commit(part, 1)
    view = bench.group_view()
    assert (view.facts.state, view.members, view.totals.lag) == ("Empty", (), 3)


def test_rates_and_levels_come_from_several_looks(bench: Bench) -> None:
    part = bench.topic()
    bench.produce(part, 10)
    bench.commit(part, 0)
    looking = bench.looking()
    bench.view(looking)
    bench.produce(part, 20)
    bench.commit(part, 15)
    view = bench.view(looking)
    assert view.rates.produced_per_s is not None
    assert view.rates.consumed_per_s is not None
    assert view.rates.produced_per_s > view.rates.consumed_per_s > 0
    bench.commit(part, 30)
    assert bench.view(looking).rates.level is Level.CAUGHT_UP


def test_a_deleted_group_is_gone_at_once(bench: Bench) -> None:
    part = bench.topic()
    bench.produce(part, 4)
    other = bench.desk.name("other")
    bench.commit(part, 1)
    bench.commit(part, 2, other)

    def seen_after(change: Callable[[], object]) -> set[str]:
        change()
        before = watch.seen.number
        watch.refresh()
        watch.wait(watch.wait(before, PATIENCE_S), PATIENCE_S)
        return {bench.group, other} & set(watch.views())

    with Watch(bench.admin, interval_s=0.2) as watch:
        assert seen_after(lambda: None) == {bench.group, other}
        assert seen_after(lambda: bench.admin.delete_groups([other])) == {bench.group}
        assert watch.failure is None
