"""What operators see of a consumer that runs: with a stuck handler, a frozen owner, a paused partition."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient
from tests.consumer.running_app import broker_with, config, fetch, fetch_json, nothing, produce, started
from tests.kafka.ports import wait_until

from rota.consumer import App, Context, Handler, Limits, Record, Retry
from rota.consumer.operations.health import Health, Verdict
from rota.consumer.operations.operations import Operations, Wishes, told
from rota.consumer.running import Running
from rota.model import RotaError, TopicPartition
from rota.testing import Broker
from rota.timeline.events import ConsumerStopped, read_events


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_with(
        plain=2,
        stuck=1,
        failing=1,
        frozen=1,
        paused=1,
        unfetched=1,
        idle=1,
        revoked=1,
        blocked=2,
        marked=1,
        open=1,
        deleted=1,
    ) as it:
        yield it


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a very slow machine the owner may take longer than operators wait."""
    monkeypatch.setattr("rota.consumer.operations.operations.ANSWER_S", 60.0)


class Clock:
    """That of the operators: the machine's, and what a test adds to it."""

    def __init__(self) -> None:
        self.added_ms = 0

    def __call__(self) -> int:
        return int(time.monotonic() * 1000) + self.added_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("rota.consumer.operations.operations._monotonic_ms", found)
    return found


STUCK_MS = 3_600_000
"""So much patience that only a test's own clock can exhaust it."""


def stays_alive(running: Running, clock: Clock, *, brokers_asked: bool) -> None:
    """Looked at again and again while six times the patience passes. ``brokers_asked``: in a quiet partition, where
    the brokers' answers count; each is waited for.
    """
    ends = running.operations._ends
    for _ in range(6):
        clock.added_ms += STUCK_MS
        verdict = running.operations.live()
        assert verdict.ok, verdict.words
        assert "stuck" not in "".join(verdict.words)
        wait_until("the brokers have answered", lambda: not ends._busy)
    assert bool(ends._known) == brokers_asked


@pytest.mark.usefixtures("patient")
def test_a_consumer_that_works_is_live_and_ready_and_tells_its_state(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "plain", "sasl.password": "hush"}), port=0)
    done = []

    @app.handler("plain")
    def handle(record: Record[bytes]) -> None:
        done.append(record.offset)

    with started(app) as running:
        port = running.operations.port
        produce(broker, "plain", 20)
        wait_until("the records are done", lambda: len(done) == 20)
        assert fetch(port, "/health/live")[0] == 200
        assert fetch(port, "/health/ready") == (200, "ready\na member of the group plain with 2 partitions\n")

        def settled() -> bool:
            shown = fetch_json(port, "/state")["state"]
            return sum(each["committed"] or 0 for each in shown["partitions"]) == 20

        wait_until("the commits are told", settled)
        shown = fetch_json(port, "/state")
        assert shown["live"]["ok"]
        assert shown["ready"]["ok"]
        assert shown["owner"]["answers"]
        assert shown["config"]["group.id"] == "plain"
        assert shown["config"]["sasl.password"] == "***"
        assert [each["lag"] for each in shown["state"]["partitions"]] == [0, 0]
        assert shown["state"]["handlers"][0]["done"] == 20
        assert shown["state"]["commits"] >= 1
        assert shown["state"]["rebalances"]["assigned"] >= 1
        assert fetch(port, "/nothing")[0] == 404
    with pytest.raises(ConnectionRefusedError):
        fetch(port, "/health/live")


@pytest.mark.usefixtures("patient")
def test_nothing_listens_unless_a_port_is_given_but_the_state_can_be_asked(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "quiet"}))
    app.handler("plain")(nothing)
    with started(app) as running:
        assert running.operations.port is None
        assert not [each for each in threading.enumerate() if each.name.startswith("rota-http")]
        state = running.state
        assert state is not None
        assert [each.name for each in state.partitions] == [("plain", 0), ("plain", 1)]
    assert running.state is None  # it has ended


@pytest.mark.usefixtures("patient")
def test_a_handler_that_is_stuck_is_named_and_alive_unless_a_bound_was_given(broker: Broker) -> None:
    release = threading.Event()
    health = Health(partition_stuck=300, record_running=4_000)
    app = App(config(broker, **{"group.id": "stuck"}), port=0, health=health)

    @app.handler("stuck")
    def handle(record: Record[bytes]) -> None:
        if record.offset == 0:
            release.wait(600)

    try:
        with started(app) as running:
            port = running.operations.port
            produce(broker, "stuck", 3)
            wait_until("it is seen", lambda: "is running for" in fetch(port, "/health/live")[1])
            status, words = fetch(port, "/health/live")
            assert status in {200, 503}  # by the bound, on a slow machine
            assert "stuck-0" in words

            def dead() -> bool:
                return fetch(port, "/health/live")[0] == 503

            wait_until("it has run for longer than the bound", dead)
            words = fetch(port, "/health/live")[1]
            assert words.startswith("not live\nstuck-0 at offset 0 has been running for ")
            (shown,) = fetch_json(port, "/state")["state"]["partitions"]
            blocking = shown["blocking"]
            assert (blocking["offset"], blocking["key"], blocking["state"]) == (0, "0", "running")
            assert blocking["attempts"] == 1
            assert blocking["running_ms"] >= 4_000
            assert fetch(port, "/health/ready")[0] == 200
            release.set()
            wait_until("it is over", lambda: not dead())
    finally:
        release.set()


@pytest.mark.usefixtures("patient")
def test_a_blocked_event_loop_is_the_reason_of_all_that_wait_for_it(broker: Broker, clock: Clock) -> None:
    release = threading.Event()
    app = App(config(broker, **{"group.id": "blocked"}), health=Health(partition_stuck=STUCK_MS))

    @app.handler("blocked")
    async def handle(record: Record[bytes]) -> None:
        if record.value == b"block":
            release.wait(600)  # as a driver would that is not made for asyncio

    def words(partition: int) -> str:
        found = running.state.of(TopicPartition("blocked", partition)) if running.state else None
        return found.blocking.words if found and found.blocking else ""

    try:
        with started(app) as running:
            produce(broker, "blocked", 1, value=b"block", partition=0)
            wait_until("it blocks", lambda: "is running for" in words(0))
            produce(broker, "blocked", 3, partition=1)
            told = "waits for the event loop, which blocked-0 at offset 0 blocks"
            wait_until("the others wait", lambda: words(1) == told)
            stays_alive(running, clock, brokers_asked=False)
            release.set()
            wait_until("all are done", lambda: running.state and running.state.handlers[0].done == 4)
    finally:
        release.set()


@pytest.mark.usefixtures("patient")
def test_a_record_that_fails_tells_its_attempts_and_how(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "failing"}), port=0)

    @app.handler("failing", retry=Retry(attempts=1_000, backoff=(0.05, 0.05)))
    def handle(record: Record[bytes], context: Context) -> None:
        if context.attempt < 5 or not healed.is_set():
            raise OSError("the shop is closed")

    healed = threading.Event()
    with started(app) as running:
        produce(broker, "failing", 1, key="customer-7")

        def attempts() -> int:
            state = running.state
            found = state.of(TopicPartition("failing", 0)) if state else None
            return found.blocking.attempts if found and found.blocking else 0

        wait_until("there were four attempts", lambda: attempts() >= 4)
        state = running.state
        assert state is not None
        blocking = state.partitions[0].blocking
        assert blocking is not None
        assert blocking.key == "customer-7"
        assert blocking.failure == "OSError: the shop is closed"
        assert blocking.failing_ms is not None
        assert blocking.age_ms >= blocking.failing_ms > 100
        assert running.operations.live().ok
        healed.set()
        wait_until("nothing blocks", lambda: running.state and not running.state.partitions[0].blocking)


def test_an_owner_that_is_frozen_is_told_and_dead_after_its_bound(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "frozen"}), port=0, health=Health(owner_silent=2_500))
    app.handler("frozen")(nothing)
    with started(app) as running:
        port = running.operations.port
        thaw = threading.Event()
        running.owner.ask(lambda _engine: thaw.wait(600))
        try:
            wait_until("it is noticed", lambda: fetch(port, "/health/live")[0] == 503)
            words = fetch(port, "/health/live")[1]
            assert words.startswith("not live\nthe owner thread has not turned for ")
            assert fetch(port, "/health/ready") == (503, "not ready\nthe owner thread does not answer\n")
            began, before = time.monotonic(), running.owner._questions.qsize()
            for _ in range(30):
                assert fetch(port, "/health/live")[0] == 503
            asked = running.owner._questions.qsize() - before
            assert asked <= time.monotonic() - began + 3  # once a second, however many want to know
            shown = fetch_json(port, "/state")
            assert not shown["owner"]["answers"]
            assert shown["owner"]["silent_ms"] >= 2_500
            assert shown["state"]["partitions"][0]["topic"] == "frozen"  # as it was last seen
        finally:
            thaw.set()
        wait_until("it goes on", lambda: fetch(port, "/health/live")[0] == 200)
        wait_until("it is ready", lambda: fetch(port, "/health/ready")[0] == 200)


@pytest.mark.usefixtures("patient")
def test_a_paused_partition_is_alive_and_says_why(broker: Broker, clock: Clock) -> None:
    health = Health(partition_stuck=STUCK_MS)
    app = App(config(broker, **{"group.id": "paused"}), port=0, health=health)
    app.handler("paused")(nothing)
    with started(app) as running:
        port = running.operations.port
        produce(broker, "paused", 2)
        wait_until("they are done", lambda: running.state and running.state.handlers[0].done == 2)
        running.pause("paused", 0)
        wait_until("it is paused", lambda: fetch_json(port, "/state")["state"]["partitions"][0]["paused"])
        produce(broker, "paused", 5)
        stays_alive(running, clock, brokers_asked=False)
        assert fetch(port, "/health/live")[0] == 200
        shown = fetch_json(port, "/state")["state"]["partitions"][0]
        assert shown["paused"] == "paused by the application"
        running.resume("paused", 0)
        wait_until("they are done", lambda: running.state and running.state.handlers[0].done == 7)


@pytest.mark.usefixtures("patient")
def test_a_partition_that_the_client_has_stopped_fetching_is_found_stuck(broker: Broker) -> None:
    """Paused behind our back: it stands for every way in which a fetcher can fall silent."""
    health = Health(partition_stuck=2_000)
    app = App(config(broker, **{"group.id": "unfetched"}), port=0, health=health)
    app.handler("unfetched")(nothing)
    with started(app) as running:
        port = running.operations.port
        produce(broker, "unfetched", 2)
        wait_until("they are done", lambda: running.state and running.state.handlers[0].done == 2)
        partition = TopicPartition("unfetched", 0)
        client = running.operations._client
        assert client is not None
        running.owner.ask(lambda _engine: client.pause([partition])).result(60)

        def found() -> bool:
            produce(broker, "unfetched", 1)  # a fetch that was under way may still be answered
            return fetch(port, "/health/live")[0] == 503

        wait_until("it is found", found, every_s=0.3)
        words = fetch(port, "/health/live")[1]
        told = r"unfetched-0 is stuck: records go up to \d+, and the last answer to a fetch knew of \d+; nothing has"
        assert re.match(f"not live\n{told}", words)
        running.owner.ask(lambda _engine: client.resume([partition])).result(60)
        wait_until("it goes on", lambda: running.state and running.state.handlers[0].done > 2)
        wait_until("it is alive", lambda: fetch(port, "/health/live")[0] == 200)


@pytest.mark.usefixtures("patient")
def test_an_idle_partition_stays_alive_however_long(broker: Broker, clock: Clock) -> None:
    app = App(config(broker, **{"group.id": "idle"}), port=0, health=Health(partition_stuck=STUCK_MS))
    app.handler("idle")(nothing)
    with started(app) as running:
        produce(broker, "idle", 2)
        wait_until("they are done", lambda: running.state and running.state.handlers[0].done == 2)
        stays_alive(running, clock, brokers_asked=True)


@pytest.mark.usefixtures("patient")
def test_the_marker_behind_a_transaction_makes_no_partition_stuck(broker: Broker, clock: Clock) -> None:
    """Offsets that no consumer is ever given: the end lies beyond the position for ever."""
    app = App(config(broker, **{"group.id": "marked"}), health=Health(partition_stuck=STUCK_MS))
    app.handler("marked")(nothing)
    with started(app) as running:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "t"})
        producer.init_transactions(60)
        producer.begin_transaction()
        producer.produce("marked", b"x")
        producer.commit_transaction(60)
        wait_until("it is done", lambda: running.state and running.state.handlers[0].done == 1)
        wait_until("the end is known", lambda: running.state and running.state.partitions[0].end == 2)
        stays_alive(running, clock, brokers_asked=True)


@pytest.mark.usefixtures("patient")
def test_an_open_transaction_makes_no_partition_stuck(broker: Broker, clock: Clock) -> None:
    """Its records are there, and nobody who reads committed ones may have them yet."""
    app = App(config(broker, **{"group.id": "open"}), health=Health(partition_stuck=STUCK_MS))
    app.handler("open")(nothing)
    with started(app) as running:
        produce(broker, "open", 1)
        wait_until("it is done", lambda: running.state and running.state.handlers[0].done == 1)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "long"})
        producer.init_transactions(60)
        producer.begin_transaction()
        producer.produce("open", b"x")
        producer.flush(60)
        wait_until("the end is known", lambda: running.state and running.state.partitions[0].end == 2)
        stays_alive(running, clock, brokers_asked=True)
        producer.commit_transaction(60)
        wait_until("it is done", lambda: running.state and running.state.handlers[0].done == 2)


@pytest.mark.usefixtures("patient")
def test_records_that_were_deleted_make_no_partition_stuck(broker: Broker, clock: Clock) -> None:
    """The end lies beyond what this consumer has read, but there is nothing to read."""
    produce(broker, "deleted", 5)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    (gone,) = admin.delete_records([ClientPartition("deleted", 0, 5)]).values()
    gone.result(60)
    committed = Consumer(config(broker, **{"group.id": "deleted"}))
    committed.commit(offsets=[ClientPartition("deleted", 0, 2)], asynchronous=False)
    committed.close()
    app = App(config(broker, **{"group.id": "deleted"}), health=Health(partition_stuck=STUCK_MS))
    app.handler("deleted")(nothing)
    with started(app) as running:
        wait_until("the end is known", lambda: running.state and running.state.partitions[0].end == 5)
        stays_alive(running, clock, brokers_asked=True)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_without_partitions_is_ready(broker: Broker, protocol: str) -> None:
    """The client says nothing of an assignment without partitions in a group of KIP-848."""
    its = {"group.id": f"two-for-one-{protocol}", "group.protocol": protocol}
    app = App(config(broker, **its), port=0)
    app.handler("idle")(nothing)
    other = App(config(broker, **its), port=0)
    other.handler("idle")(nothing)
    with started(app), other.start() as running:
        port = running.operations.port
        wait_until("it has joined", lambda: fetch(port, "/health/ready")[0] == 200)
        assert "idle: others have all the partitions" in fetch(port, "/health/ready")[1]
        assert fetch(port, "/health/live")[0] == 200


def test_while_partitions_are_revoked_the_owner_says_so(broker: Broker) -> None:
    began, release = threading.Event(), threading.Event()
    app = App(config(broker, **{"group.id": "revoked"}), port=0, limits=Limits(revoke_drain=60_000))

    @app.handler("revoked")
    def handle(record: Record[bytes]) -> None:
        began.set()
        release.wait(600)

    other = App(config(broker, **{"group.id": "revoked"}))
    other.handler("revoked")(nothing)
    try:
        with started(app) as running:
            produce(broker, "revoked", 1)
            assert began.wait(120)
            broker.force_rebalance("revoked")
            assert running.operations.live().ok
            stopping = threading.Thread(target=running.stop)
            stopping.start()
            wait_until("it is leaving", lambda: not running.operations.ready().ok)
            assert running.operations.ready().words == ("it was asked to stop",)
            assert running.operations.live().ok  # it waits for what has begun
            release.set()
            stopping.join(120)
    finally:
        release.set()


class Slow(Handler):
    topics = "revoked"

    def __init__(self) -> None:
        self.release = threading.Event()

    def process(self, record: Record[bytes]) -> None:
        pass

    def on_assigned(self, _partitions: object) -> None:
        self.release.wait(600)


def test_an_owner_in_a_rebalance_says_what_it_is_at(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "slow-hook"}), port=0)
    handler = app.add(Slow())
    with app.start() as running:
        try:
            port = running.operations.port
            wait_until(
                "it is told",
                lambda: "partitions are being assigned for " in fetch(port, "/health/live")[1],
            )
            assert fetch(port, "/health/live")[0] == 200  # not for long enough yet
            assert fetch(port, "/health/ready")[0] == 503
        finally:
            handler.release.set()
        wait_until("it is ready", lambda: fetch(port, "/health/ready")[0] == 200)


@pytest.mark.usefixtures("patient")
def test_a_broker_that_is_away_kills_nobody(tmp_path: Path, clock: Clock) -> None:
    with Broker(mode="process", data_dir=tmp_path) as broker:
        app = App(config(broker, **{"group.id": "away"}), port=0, health=Health(partition_stuck=STUCK_MS))
        app.handler("away")(nothing)
        produce(broker, "away", 3)
        with started(app) as running:
            port = running.operations.port
            wait_until("they are done", lambda: running.state and running.state.handlers[0].done == 3)
            broker.kill()
            stays_alive(running, clock, brokers_asked=False)
            broker.restart()
            produce(broker, "away", 4)
            wait_until("it goes on", lambda: running.state and running.state.handlers[0].done == 7)
            assert fetch(port, "/health/live")[0] == 200


def test_a_port_that_is_taken_is_an_error_at_the_start(broker: Broker) -> None:
    app = App(config(broker, **{"group.id": "first"}), port=0)
    app.handler("idle")(nothing)
    with app.start() as running:
        second = App(config(broker, **{"group.id": "second"}), port=running.operations.port)
        second.handler("idle")(nothing)
        with pytest.raises(RotaError, match="cannot listen on"):
            second.start()


def test_a_consumer_that_cannot_listen_closes_its_timeline(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wishes = Wishes(port=taken.getsockname()[1], timeline=path)
        settings = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}
        app = App(settings)
        app.handler("idle")(nothing)
        with pytest.raises(RotaError, match="cannot listen on"):
            Operations(settings, app.handlers, wishes)
    last = list(read_events(path.read_text().splitlines(keepends=True)))[-1]
    assert isinstance(last, ConsumerStopped)
    assert last.how.startswith("cannot listen on")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"port": 70_000}, "port is 70000; it is a number from 0"),
        ({"health": 60_000}, "health is 60000; it wants Health"),
        ({"otel": True}, "otel is True; it wants rota.consumer.otel.OpenTelemetry"),
    ],
)
def test_an_option_that_cannot_be_is_refused_at_once(option: Any, words: str) -> None:
    with pytest.raises(RotaError, match=re.escape(words)):
        App({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}, **option)


def test_a_page_of_health_is_never_endless() -> None:
    verdict = Verdict(False, tuple(f"orders-{number} is stuck" for number in range(1_000)))
    lines = told(verdict, "live", "not live").body.decode().splitlines()
    assert lines[:2] == ["not live", "orders-0 is stuck"]
    assert lines[-1] == "and 950 more"
    assert len(lines) == 52


def test_a_timeline_that_cannot_be_written_is_an_error_at_the_start(broker: Broker) -> None:
    app = App(config(broker), timeline="/nowhere/at/all.jsonl")
    app.handler("idle")(nothing)
    with pytest.raises(RotaError, match="cannot write the timeline /nowhere/at/all"):
        app.start()
