"""Apps with effects, on a real broker: threads, processes, and records that come again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.consumer.desk import Desk, until
from tests.consumer.effects_handlers import DATABASE, book

from rota.consumer import App, Context, Limits, Record, later, sql
from rota.consumer.ledger import Ledger
from rota.testing import Broker


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Broker() as broker:
        yield Desk(broker.bootstrap_servers)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    monkeypatch.setenv(DATABASE, str(tmp_path / "bank.db"))
    connection = sqlite3.connect(tmp_path / "bank.db", isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE bookings (number BIGINT)")
    yield connection
    connection.close()


def app_for(desk: Desk, group: str) -> App:
    return App(desk.config(group), limits=Limits(commit_interval=20), order="key", concurrency=4)


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_records_that_come_again_are_not_applied_again(
    desk: Desk, database: sqlite3.Connection, workers: Any
) -> None:
    source, group = desk.topic("source", 2), desk.name("group")
    desk.write(source, [{"key": b"%d" % (number % 20), "value": b"%d" % number} for number in range(300)])

    def booked() -> Counter[int]:
        return Counter(row[0] for row in database.execute("SELECT number FROM bookings"))

    def handle_until(total: int) -> None:
        app = app_for(desk, group)
        app.handler(source, workers=workers)(book)
        with app.start() as running:
            until("all are booked", lambda: len(booked()) == total, running)
            desk.wait_committed(group, source, total)

    handle_until(300)
    set_back(desk, group, source)
    desk.write(source, [{"value": b"%d" % number} for number in range(300, 350)])
    handle_until(350)
    assert booked() == Counter(range(350))


def set_back(desk: Desk, group: str, topic: str) -> None:
    """As `kafka-consumer-groups --reset-offsets --to-earliest` does."""
    consumer = Consumer(desk.config(group))
    consumer.commit(offsets=[TopicPartition(topic, number, 0) for number in range(2)], asynchronous=False)
    consumer.close()


def test_rows_are_deleted_while_the_app_runs(
    desk: Desk, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_PRUNE_EVERY", 5)
    monkeypatch.setattr(sql, "_KEPT", 10)
    source, group = desk.topic("source"), desk.name("group")
    app = app_for(desk, group)
    app.handler(source)(book)
    for statement in sql.schema("sqlite"):
        database.execute(statement)

    def few_rows_of_many_bookings() -> bool:
        desk.write(source, [{"value": b"%d" % number} for number in range(10)])
        [rows] = database.execute("SELECT count(*) FROM rota_done").fetchone()
        [bookings] = database.execute("SELECT count(*) FROM bookings").fetchone()
        return bool(rows < bookings - 100)

    with app.start() as running:
        until("rows are deleted", few_rows_of_many_bookings, running)


def test_a_record_whose_effect_is_held_waits_and_is_no_failure(desk: Desk, tmp_path: Path) -> None:
    source = desk.topic("source")
    desk.write(source, [{"key": b"one", "value": b"mail"}, {"key": b"other", "value": b"another"}])
    group = desk.name("group")
    elsewhere = Ledger(tmp_path / "ledger.db", lease_s=600, ambiguous="skip")
    once = elsewhere.once("mail")
    assert once.__enter__()
    ledger = Ledger(tmp_path / "ledger.db", lease_s=600, ambiguous="skip")
    sent: list[str] = []
    tries = 0
    app = app_for(desk, group)

    @app.handler(source)
    def handle(record: Record[bytes], context: Context) -> None:
        nonlocal tries
        assert context.attempt == 1
        tries += record.value == b"mail"
        with ledger.once(record.value.decode()) as claim:
            if claim:
                sent.append(claim.key)

    with app.start() as running:
        until("others go on, it is tried again", lambda: sent == ["another"] and tries >= 3, running)
        once.__exit__(None, None, None)
        desk.wait_committed(group, source, 2)
    assert sent == ["another"]


def test_a_record_may_wait_for_something_else(desk: Desk) -> None:
    source, group = desk.topic("source"), desk.name("group")
    desk.write(source, [{"value": b"x"}])
    app = app_for(desk, group)
    attempts: list[int] = []

    @app.handler(source)
    def handle(_record: Record[bytes], context: Context) -> None:
        attempts.append(context.attempt)
        if len(attempts) < 4:
            raise later(0.01, "the API asks for patience")

    with app.start() as running:
        until("it is done", lambda: len(attempts) == 4, running)
        desk.wait_committed(group, source, 1)
    assert attempts == [1, 1, 1, 1]
