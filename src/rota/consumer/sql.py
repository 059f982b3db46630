"""`Context.sql`: the effect of a record on a database, and the row that says so, in one transaction."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from rota.consumer.core.policy import skip
from rota.consumer.effects.databases import (
    BUSY_S,
    Dialect,
    Statement,
    ask,
    ask_async,
    dialect_of,
    drive,
    drive_async,
    is_missing_table,
    kind_of,
    the_only_task,
    the_only_thread,
    transaction,
    transaction_async,
    translated,
)
from rota.consumer.effects.sql_rows import Place, Rows
from rota.consumer.effects.statements import create_tables, create_tables_async
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from rota.consumer.clients.client import Message

__all__ = ["SqlEffect", "SqlTransaction", "schema"]

log = logging.getLogger("rota.consumer")

_PRUNE_EVERY = 500
"""Old rows are deleted after one record in so many."""

_KEPT = 10_000
"""Rows of so many offsets below the committed one are kept, for who comes late or again; a row has some 100 bytes."""


def schema(dialect: Dialect, table: str = "rota_done") -> list[str]:
    """The statements that make the tables, for those who make their tables themselves."""
    return [translated(statement.text, dialect) for statement in Rows(table).create()]


_rows = cache(Rows)


class SqlTransaction:
    """What `Context.sql` gives. ``connection`` is in the transaction: leave its end to the ``with`` block."""

    def __init__(self, connection: Any, fresh: set[int]) -> None:
        self.connection = connection
        self._fresh = fresh

    @property
    def fresh(self) -> bool:
        """Whether anything is to be applied."""
        return bool(self._fresh)

    def applies(self, record: Any) -> bool:
        """Of a batch: whether this record is to be applied, or was before."""
        return record.offset in self._fresh

    def execute(self, statement: str, values: Any = ()) -> Any:
        """The same as the connection's; to be awaited if that is."""
        if not self._fresh:
            raise RotaError("this record was applied before: with skip_done=False ask `if tx.fresh:` first")
        return self.connection.execute(statement, values)


class SqlEffect:
    """One transaction for some records of one partition: a context manager, or an asynchronous one.

    ``committed``: the group's committed offset of the partition, as far as this process knows.
    """

    def __init__(
        self,
        database: object,
        group: str,
        messages: Sequence[Message],
        committed: Callable[[], int | None],
        *,
        skip_done: bool,
        table: str,
        create: bool,
    ) -> None:
        self._database: Any = database
        self._kind = kind_of(database)
        self._dialect = dialect_of(database)
        self._rows = _rows(table)
        self._place = Place(group, messages[0].topic(), messages[0].partition())
        self._records = [(message.offset(), message.timestamp()[1]) for message in messages]
        self._committed = committed
        self._skip_done = skip_done
        self._create = create
        self._connection: Any = None
        self._lent: Any = None
        self._ending: Any = None

    def __enter__(self) -> SqlTransaction:
        if self._kind.startswith("async"):
            raise RotaError(
                "this database is asynchronous: use `async with context.sql(...)` in an `async def`"
            )
        try:
            return self._begin()
        except Exception as error:
            if not (self._create and is_missing_table(error)):
                raise
        with ExitStack() as lent:
            create_tables(self._lend(lent), self._rows.create(), self._dialect)
        return self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lent:
            self._ending.__exit__(kind, error, trace)
            before = self._to_prune()
            if error is None and before is not None:
                with self._pruning(), transaction(self._connection, self._dialect):
                    drive(self._rows.prune(self._place, before), self._ask)

    async def __aenter__(self) -> SqlTransaction:
        if not self._kind.startswith("async"):
            raise RotaError(
                "this database would stop the event loop: give an AsyncConnection or AsyncConnectionPool of psycopg, "
                "or let the handler be a plain `def`"
            )
        try:
            return await self._begin_async()
        except Exception as error:
            if not (self._create and is_missing_table(error)):
                raise
        async with AsyncExitStack() as lent:
            await create_tables_async(await self._lend_async(lent), self._rows.create())
        return await self._begin_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._lent:
            await self._ending.__aexit__(kind, error, trace)
            before = self._to_prune()
            if error is None and before is not None:
                with self._pruning():
                    async with transaction_async(self._connection):
                        await drive_async(self._rows.prune(self._place, before), self._ask_async)

    def _begin(self) -> SqlTransaction:
        with ExitStack() as lent:
            self._connection = self._lend(lent)
            with ExitStack() as ending:
                ending.enter_context(transaction(self._connection, self._dialect))
                begun = self._begun(drive(self._rows.note(self._place, self._records), self._ask))
                self._ending = ending.pop_all()
            self._lent = lent.pop_all()
        return begun

    async def _begin_async(self) -> SqlTransaction:
        async with AsyncExitStack() as lent:
            self._connection = await self._lend_async(lent)
            async with AsyncExitStack() as ending:
                await ending.enter_async_context(transaction_async(self._connection))
                begun = self._begun(
                    await drive_async(self._rows.note(self._place, self._records), self._ask_async)
                )
                self._ending = ending.pop_all()
            self._lent = lent.pop_all()
        return begun

    def _begun(self, fresh: set[int]) -> SqlTransaction:
        if not fresh and self._skip_done:
            raise skip("its effect is in the database already")
        return SqlTransaction(self._connection, fresh)

    def _ask(self, statement: Statement) -> Any:
        return ask(self._connection, statement, self._dialect)

    async def _ask_async(self, statement: Statement) -> Any:
        return await ask_async(self._connection, statement)

    def _lend(self, lent: ExitStack) -> Any:
        if self._kind == "sqlite file":
            return _connection_of_this_thread(str(self._database))
        if self._kind == "postgresql pool":
            return lent.enter_context(self._database.connection())
        if self._kind == "postgresql address":
            raise RotaError(
                "an address alone would mean a new connection for every record: give context.sql a pool "
                "(psycopg_pool.ConnectionPool) or a connection"
            )
        lent.enter_context(the_only_thread(self._database))
        return self._database

    async def _lend_async(self, lent: AsyncExitStack) -> Any:
        if self._kind == "async postgresql pool":
            return await lent.enter_async_context(self._database.connection())
        await lent.enter_async_context(the_only_task(self._database))
        return self._database

    @contextmanager
    def _pruning(self) -> Iterator[None]:
        """The effect is in the database: what becomes of old rows is no matter of this record."""
        try:
            yield
        except Exception:
            log.warning("old rows of %s could not be deleted", self._rows.table, exc_info=True)

    def _to_prune(self) -> int | None:
        """Before which offset rows are to be deleted, if it is time to."""
        chosen = any(
            offset * 2_654_435_761 % (1 << 32) * _PRUNE_EVERY < 1 << 32 for offset, _ in self._records
        )
        committed = self._committed() if chosen else None
        return committed - _KEPT if committed is not None and committed > _KEPT else None


_threads = threading.local()


def _connection_of_this_thread(path: str) -> sqlite3.Connection:
    """Made once for each thread; not shared with a forked process."""
    if getattr(_threads, "pid", None) != os.getpid():
        _threads.pid = os.getpid()
        _threads.connections = {}
    connections: dict[str, sqlite3.Connection] = _threads.connections
    if path not in connections:
        connections[path] = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    return connections[path]
