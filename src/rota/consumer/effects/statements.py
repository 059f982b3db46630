"""Single statements, each committed by itself, on any database that `rota.consumer.effects.databases` knows."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from rota.consumer.effects.databases import (
    BUSY_S,
    Answer,
    Dialect,
    Statement,
    ask,
    ask_async,
    check_idle,
    dialect_of,
    is_missing_table,
    kind_of,
    the_only_task,
    the_only_thread,
    transaction,
    transaction_async,
)
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

__all__ = ["AsyncStatements", "Statements", "create_tables", "create_tables_async"]

_MAKING = 0x726F7461
"""The advisory lock of those who make tables: PostgreSQL's IF NOT EXISTS may fail when two do so at once."""


def create_tables(connection: Any, tables: Sequence[Statement], dialect: Dialect) -> None:
    """Make the tables that are not there, in a transaction of their own."""
    with transaction(connection, dialect):
        if dialect == "postgresql":
            ask(connection, Statement("SELECT pg_advisory_xact_lock(?)", (_MAKING,)), dialect)
        for table in tables:
            ask(connection, table, dialect)


async def create_tables_async(connection: Any, tables: Sequence[Statement]) -> None:
    """The same on an asynchronous connection of psycopg."""
    async with transaction_async(connection):
        await ask_async(connection, Statement("SELECT pg_advisory_xact_lock(?)", (_MAKING,)))
        for table in tables:
            await ask_async(connection, table)


class Statements:
    """From any thread. Where ``database`` is a path or an address, the connection is its own: made when it is
    first needed, in this process, and again when it broke.
    """

    def __init__(self, database: object, tables: Sequence[Statement]) -> None:
        self._kind = kind_of(database)
        if self._kind.startswith("async"):
            raise RotaError(
                "this database is asynchronous: use AsyncLedger, or give a connection or pool that is not"
            )
        self._dialect = dialect_of(database)
        self._database: Any = database
        self._tables = tables
        self._own: Any = None
        self._own_pid = 0
        self._lock = threading.RLock()

    def run(self, statement: Statement) -> Answer:
        """One statement, and its commit. Makes the tables if they are not there."""
        try:
            return self._once(statement)
        except Exception as error:
            if is_missing_table(error) and self._tables:
                self.create()
            elif self._own is None or not self._broken():
                raise
        return self._once(statement)

    def create(self) -> None:
        """Make the tables that are not there."""
        with self._connection() as connection:
            create_tables(connection, self._tables, self._dialect)

    def close(self) -> None:
        """Close the connection, if it is its own."""
        with self._lock:
            if self._own is not None and self._own_pid == os.getpid():
                self._own.close()
            self._own = None

    def _once(self, statement: Statement) -> Answer:
        with self._connection() as connection:
            if self._autocommits(connection):
                return ask(connection, statement, self._dialect)
            with transaction(connection, self._dialect):
                return ask(connection, statement, self._dialect)

    def _autocommits(self, connection: Any) -> bool:
        if self._dialect == "sqlite":
            check_idle(connection.in_transaction)
            return connection.isolation_level is None
        check_idle(connection.info.transaction_status)
        return bool(connection.autocommit)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self._kind == "postgresql pool":
            with self._database.connection() as connection:
                yield connection
        elif self._kind in ("sqlite file", "postgresql address"):
            with self._lock:
                yield self._opened()
        else:
            with the_only_thread(self._database):
                yield self._database

    def _opened(self) -> Any:
        if self._own is None or self._own_pid != os.getpid() or self._broken():
            self._own_pid = os.getpid()
            self._own = self._open()
        return self._own

    def _open(self) -> Any:
        if self._kind == "sqlite file":
            connection = sqlite3.connect(
                self._database, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer do not wait for each other
            connection.execute("PRAGMA synchronous = FULL")  # what was committed outlives a power cut
            return connection
        return psycopg().connect(self._database, autocommit=True)

    def _broken(self) -> bool:
        return self._dialect == "postgresql" and bool(self._own.closed)


class AsyncStatements:
    """On an asynchronous connection or pool of psycopg, from the event loop that it belongs to."""

    def __init__(self, database: object, tables: Sequence[Statement]) -> None:
        self._kind = kind_of(database)
        if not self._kind.startswith("async"):
            raise RotaError(
                "this database is not asynchronous: use Ledger, whose `once` can be used with `async with` too"
            )
        self._database: Any = database
        self._tables = tables

    async def run(self, statement: Statement) -> Answer:
        """One statement, and its commit. Makes the tables if they are not there."""
        try:
            return await self._once(statement)
        except Exception as error:
            if not (is_missing_table(error) and self._tables):
                raise
        await self.create()
        return await self._once(statement)

    async def create(self) -> None:
        """Make the tables that are not there."""
        async with self._connection() as connection:
            await create_tables_async(connection, self._tables)

    async def _once(self, statement: Statement) -> Answer:
        async with self._connection() as connection:
            check_idle(connection.info.transaction_status)
            if connection.autocommit:
                return await ask_async(connection, statement)
            async with transaction_async(connection):
                return await ask_async(connection, statement)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._kind == "async postgresql pool":
            async with self._database.connection() as connection:
                yield connection
        else:
            async with the_only_task(self._database):
                yield self._database


def psycopg() -> Any:
    """The driver of PostgreSQL. Raises RotaError where it is not installed."""
    try:
        import psycopg
    except ImportError as error:
        raise RotaError(
            "PostgreSQL needs psycopg, which is not installed: pip install 'rota[postgres]'"
        ) from error
    return psycopg
