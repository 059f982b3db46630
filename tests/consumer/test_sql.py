"""`context.sql`: the effect of a record and the row that says so are one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.consumer.messages import SomeMessage, context_of
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.consumer import sql
from rota.consumer.core.later import RetryLaterError
from rota.consumer.core.policy import SkipRecordError
from rota.consumer.effects.sql_rows import RAISED_AT_ONCE
from rota.model import RotaError

Look = Callable[[str], list[tuple[Any, ...]]]


class Bank:
    """A database with accounts, as SQLite file or PostgreSQL pool."""

    def __init__(self, database: Any, connect: Callable[[], Any], mark: str) -> None:
        self.database = database
        self.connect = connect
        self.add = f"INSERT INTO bookings VALUES ({mark})"
        self.look_at("CREATE TABLE bookings (number BIGINT)")

    def look_at(self, statement: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    @property
    def bookings(self) -> list[int]:
        return [row[0] for row in self.look_at("SELECT number FROM bookings ORDER BY number")]

    @property
    def rows(self) -> list[int]:
        return [row[0] for row in self.look_at("SELECT record_offset FROM rota_done ORDER BY record_offset")]

    def book(self, at: int, **options: Any) -> None:
        """The handler: one booking for the record at this offset."""
        with context_of([SomeMessage(at)], **options).sql(self.database) as tx:
            tx.execute(self.add, (at,))

    def fail(self, at: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """The handler, which raises when it has booked."""
        with context_of([SomeMessage(at)]).sql(self.database) as tx:
            meanwhile()
            tx.execute(self.add, (at,))
            raise OSError("half of it")


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    if request.param == "sqlite":
        path = tmp_path / "bank.db"
        yield Bank(path, lambda: sqlite3.connect(path, isolation_level=None), "?")
        return
    address = request.getfixturevalue("postgres_database")
    import psycopg
    from psycopg_pool import ConnectionPool

    with ConnectionPool(address, min_size=1, max_size=8) as pool:
        yield Bank(pool, lambda: psycopg.connect(address, autocommit=True), "%s")


def test_a_record_is_applied_once(bank: Bank) -> None:
    bank.book(7)
    with pytest.raises(SkipRecordError, match="in the database already"):
        bank.book(7)
    bank.book(8)
    bank.book(7, group="another group")
    assert bank.bookings == [7, 7, 8]


def test_an_attempt_that_fails_leaves_nothing(bank: Bank) -> None:
    with pytest.raises(OSError, match="half"):
        bank.fail(7)
    assert bank.bookings == []
    bank.book(7)
    assert bank.bookings == [7]


def test_a_handler_may_ask_instead(bank: Bank) -> None:
    for fresh in (True, False):
        with context_of([SomeMessage(7)]).sql(bank.database, skip_done=False) as tx:
            assert tx.fresh is fresh
            if tx.fresh:
                tx.execute(bank.add, (7,))
            else:
                with pytest.raises(RotaError, match=r"ask `if tx.fresh:`"):
                    tx.execute(bank.add, (7,))
    assert bank.bookings == [7]


def test_a_batch_applies_what_is_left_of_it(bank: Bank) -> None:
    bank.book(11)
    bank.book(13)
    records = [SomeMessage(at) for at in range(10, 400)]
    with context_of(records, batch=True).sql(bank.database) as tx:
        for at in range(10, 400):
            if tx.applies(type("Record", (), {"offset": at})):
                tx.execute(bank.add, (at,))
    assert bank.bookings == list(range(10, 400))
    with pytest.raises(SkipRecordError):
        context_of(records, batch=True).sql(bank.database).__enter__()


def test_two_at_the_same_record_wait_for_each_other(bank: Bank) -> None:
    """The last owner of the partition, who does not know yet that he lost it, and the next one."""
    outcomes: list[str] = []

    def next_owner() -> None:
        try:
            bank.book(7)
        except SkipRecordError:
            outcomes.append("skipped")
        else:
            outcomes.append("applied")

    thread = threading.Thread(target=next_owner)
    with context_of([SomeMessage(7)]).sql(bank.database) as tx:
        thread.start()
        wait_until("the other is at it, or about to be", thread.is_alive)
        tx.execute(bank.add, (7,))
        assert outcomes == []
    thread.join(PATIENCE_S)
    assert outcomes == ["skipped"]
    assert bank.bookings == [7]


def test_the_other_goes_on_if_the_first_one_fails(bank: Bank) -> None:
    thread = threading.Thread(target=bank.book, args=(7,))
    with pytest.raises(OSError, match="half"):
        bank.fail(7, thread.start)
    thread.join(PATIENCE_S)
    assert bank.bookings == [7]


@pytest.fixture
def pruning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rows are deleted after every record, and none below the committed offset is kept."""
    monkeypatch.setattr(sql, "_PRUNE_EVERY", 1)
    monkeypatch.setattr(sql, "_KEPT", 0)


@pytest.mark.usefixtures("pruning")
def test_rows_below_the_committed_offset_are_deleted(bank: Bank) -> None:
    for at in (3, 4, 6, 7):
        bank.book(at)
    assert bank.rows == [3, 4, 6, 7]  # nothing is known to be committed
    bank.book(9, committed=6)
    assert bank.rows == [3, 4, 6, 7, 9]  # the first time says how far, the next one deletes
    bank.book(8, committed=6)
    assert bank.rows == [6, 7, 8, 9]
    bank.book(12, committed=10)
    bank.book(13, committed=10)
    assert bank.rows == [12, 13]


def test_rows_of_some_offsets_below_it_are_kept(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was frozen, and offsets that were set back a little, find them."""
    monkeypatch.setattr(sql, "_PRUNE_EVERY", 1)
    monkeypatch.setattr(sql, "_KEPT", 4)
    for at in range(10):
        bank.book(at, committed=at)
    # Below 8 - 4; the last record said 9 - 4, which the next one deletes.
    assert bank.rows == [4, 5, 6, 7, 8, 9]
    for at in (5, 6, 7):
        with pytest.raises(SkipRecordError):
            bank.book(at)


@pytest.mark.usefixtures("pruning")
def test_what_cannot_be_told_is_neither_applied_nor_skipped(bank: Bank) -> None:
    """Below what was deleted: a process that was frozen, offsets that were set back, or another topic of this name
    whose records bring old timestamps (MirrorMaker).
    """
    for at in range(3, 9):
        bank.book(at, committed=at)
    assert 4 not in bank.rows
    for ms in (0, 1_500_000_000_000, 1_600_000_000_007):
        with pytest.raises(
            RotaError,
            match=r"offset 4 .* cannot be told .* go on from 8.*DELETE FROM rota_done WHERE .* 'orders'",
        ) as caught:
            context_of([SomeMessage(4, ms=ms)]).sql(bank.database).__enter__()
        assert "\n" not in str(caught.value)
    batch = context_of([SomeMessage(4), SomeMessage(20)], batch=True)
    with pytest.raises(RotaError, match="offset 4 "):
        batch.sql(bank.database).__enter__()
    assert not {4, 20} & set(bank.rows)
    assert bank.bookings == list(range(3, 9))


@pytest.mark.usefixtures("pruning")
def test_many_old_rows_are_deleted_in_turns(bank: Bank) -> None:
    bank.book(5)
    bank.book(RAISED_AT_ONCE + 10)
    bank.book(RAISED_AT_ONCE + 11, committed=RAISED_AT_ONCE + 11)
    assert bank.look_at("SELECT below_offset FROM rota_done_below") == [(RAISED_AT_ONCE + 5,)]
    bank.book(RAISED_AT_ONCE + 12, committed=RAISED_AT_ONCE + 11)
    assert bank.look_at("SELECT below_offset FROM rota_done_below") == [(RAISED_AT_ONCE + 11,)]
    assert bank.rows == [RAISED_AT_ONCE + 10, RAISED_AT_ONCE + 11, RAISED_AT_ONCE + 12]


@pytest.mark.usefixtures("pruning")
def test_rows_that_cannot_be_deleted_are_no_matter_of_the_record(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    with context_of([SomeMessage(7)], committed=7).sql(bank.database) as tx:
        tx.execute(bank.add, (7,))
        tx.execute("DROP TABLE rota_done_below")
    assert "old rows of rota_done could not be deleted" in caplog.text
    assert bank.bookings == bank.rows == [7]


def test_some_records_delete_for_all(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_PRUNE_EVERY", 20)
    monkeypatch.setattr(sql, "_KEPT", 20)
    for at in range(300):
        bank.book(at, committed=at)
    assert 0 < len(bank.rows) < 200
    assert bank.bookings == list(range(300))


@pytest.mark.usefixtures("pruning")
def test_a_topic_made_anew_is_told(bank: Bank) -> None:
    for at in range(3, 9):
        bank.book(at, committed=at)
    anew = context_of([SomeMessage(8, ms=4_000_000_000_000)])
    with pytest.raises(
        RotaError, match=r"deleted and made anew.*DELETE FROM rota_done WHERE .*topic = 'orders'"
    ):
        anew.sql(bank.database).__enter__()
    long_ago = context_of([SomeMessage(4, ms=4_000_000_000_000)])
    with pytest.raises(RotaError, match="orders-3 at offset 4 is not the record"):
        long_ago.sql(bank.database).__enter__()
    assert 4 not in bank.rows


def test_a_second_transaction_for_one_record_is_a_mistake(bank: Bank, tmp_path: Path) -> None:
    context = context_of([SomeMessage(7)])
    with context.sql(bank.database) as tx:
        tx.execute(bank.add, (7,))
    with pytest.raises(RotaError, match=r"a second context\.sql"):
        context.sql(bank.database)
    with pytest.raises(RotaError, match=r"a second context\.sql"):
        context.sql(tmp_path / "other.db")


def test_two_databases_ask(tmp_path: Path) -> None:
    context = context_of([SomeMessage(7)])
    for name in ("a.db", "b.db"):
        with context.sql(tmp_path / name, skip_done=False) as tx:
            assert tx.fresh
    with pytest.raises(RotaError, match=r"a second context\.sql"):
        context.sql(tmp_path / "b.db", skip_done=False)


def test_a_connection_of_sqlite3_may_be_shared(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "bank.db", check_same_thread=False)
    connection.execute("CREATE TABLE bookings (number BIGINT)")

    def book(first: int) -> None:
        for at in range(first, first + 50):
            with context_of([SomeMessage(at)]).sql(connection) as tx:
                tx.execute("INSERT INTO bookings VALUES (?)", (at,))

    threads = [threading.Thread(target=book, args=(first,)) for first in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert connection.execute("SELECT count(DISTINCT number) FROM bookings").fetchone() == (150,)
    connection.execute("INSERT INTO bookings VALUES (1000)")
    with pytest.raises(RotaError, match="in a transaction already"):
        context_of([SomeMessage(999)]).sql(connection).__enter__()
    connection.close()


def test_tables_can_be_made_by_others(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        context_of([SomeMessage(1)]).sql(path, table="applied", create=False).__enter__()
    connection = sqlite3.connect(path)
    for statement in sql.schema("sqlite", "applied"):
        connection.execute(statement)
    with context_of([SomeMessage(1)]).sql(path, table="applied", create=False):
        pass
    assert connection.execute("SELECT record_offset FROM applied").fetchall() == [(1,)]
    connection.close()


def test_mistakes_are_told(tmp_path: Path) -> None:
    context = context_of([SomeMessage(1)])
    with pytest.raises(RotaError, match="a new connection for every record"):
        context.sql("postgresql://127.0.0.1/x").__enter__()

    async def story() -> None:
        async with context_of([SomeMessage(1)]).sql(tmp_path / "x.db"):
            raise AssertionError("never")

    with pytest.raises(RotaError, match="would stop the event loop"):
        asyncio.run(story())


def test_a_connection_of_psycopg_may_be_shared(postgres_database: str) -> None:
    import psycopg

    with psycopg.connect(postgres_database) as connection:
        with connection.transaction():
            connection.execute("CREATE TABLE bookings (number BIGINT)")

        def book(first: int) -> None:
            for at in range(first, first + 20):
                with context_of([SomeMessage(at)]).sql(connection) as tx:
                    tx.execute("INSERT INTO bookings VALUES (%s)", (at,))

        threads = [threading.Thread(target=book, args=(first,)) for first in (0, 20, 40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        with connection.transaction():
            assert connection.execute("SELECT count(DISTINCT number) FROM bookings").fetchone() == (60,)


def test_asynchronous_pools_and_connections(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg
    from psycopg_pool import AsyncConnectionPool

    monkeypatch.setattr(sql, "_PRUNE_EVERY", 1)
    monkeypatch.setattr(sql, "_KEPT", 10)

    async def book(database: Any, at: int) -> None:
        async with context_of([SomeMessage(at)], committed=at - at % 20).sql(database) as tx:
            await tx.execute("INSERT INTO bookings VALUES (%s)", (at,))

    async def story() -> list[tuple[Any, ...]]:
        plain = await psycopg.AsyncConnection.connect(postgres_database, autocommit=True)
        async with AsyncConnectionPool(postgres_database, min_size=2, open=False) as pool, plain:
            await plain.execute("CREATE TABLE bookings (number BIGINT)")
            await asyncio.gather(*(book(pool, at) for at in range(20)))
            await asyncio.gather(*(book(plain, at) for at in range(20, 40)))
            for database in (pool, plain):
                with pytest.raises(SkipRecordError):
                    await book(database, 39)
            with pytest.raises(RotaError, match="use `async with"):
                context_of([SomeMessage(50)]).sql(pool).__enter__()
            cursor = await plain.execute("SELECT count(DISTINCT number), count(*) FROM bookings")
            return await cursor.fetchall()

    assert asyncio.run(story()) == [(40, 40)]


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_every_isolation_applies_it_once(postgres_database: str, level: str) -> None:
    """Whoever comes second waits; where he may not see what the first one did, he fails, and tries again."""
    from psycopg import errors
    from psycopg_pool import ConnectionPool

    options = f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')}"
    applied: list[int] = []
    with ConnectionPool(postgres_database, kwargs={"options": options}, min_size=4, max_size=8) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE bookings (number BIGINT)")
            assert connection.execute("SHOW transaction_isolation").fetchone() == (level,)

        def owner() -> None:
            for at in range(30):
                while True:
                    try:
                        with context_of([SomeMessage(at)]).sql(pool) as tx:
                            tx.execute("INSERT INTO bookings VALUES (%s)", (at,))
                        applied.append(at)
                    except SkipRecordError:
                        break
                    except (errors.SerializationFailure, RetryLaterError):
                        continue

        threads = [threading.Thread(target=owner) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*), count(DISTINCT number) FROM bookings").fetchone() == (
                30,
                30,
            )
    assert sorted(applied) == list(range(30))
