"""The databases in which effects are kept, SQLite and PostgreSQL, told apart and talked to in one way.

psycopg is imported only where the address of a PostgreSQL database was given; its connections and pools are
known by what they can do.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator

__all__ = [
    "BUSY_S",
    "Answer",
    "Dialect",
    "Kind",
    "Statement",
    "ask",
    "ask_async",
    "check_idle",
    "dialect_of",
    "drive",
    "drive_async",
    "is_missing_table",
    "kind_of",
    "table_name",
    "the_only_task",
    "the_only_thread",
    "transaction",
    "transaction_async",
    "translated",
]

S = TypeVar("S")
A = TypeVar("A")
T = TypeVar("T")

BUSY_S = 60.0
"""How long one waits for another process that is writing to the same SQLite file."""

Dialect = Literal["sqlite", "postgresql"]
Kind = Literal[
    "sqlite file",
    "sqlite connection",
    "postgresql address",
    "postgresql connection",
    "postgresql pool",
    "async postgresql connection",
    "async postgresql pool",
]


class Statement(NamedTuple):
    """One statement: values stand as ``?``, the database's clock (milliseconds since 1970) as ``{now}``."""

    text: str
    values: tuple[object, ...] = ()


class Answer(NamedTuple):
    """The rows that a statement gave, and how many it changed."""

    rows: list[tuple[Any, ...]]
    changed: int


_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}


@cache
def translated(text: str, dialect: Dialect) -> str:
    """The text as the database's driver wants it."""
    text = text.replace("{now}", _NOW[dialect])
    return text if dialect == "sqlite" else text.replace("?", "%s")


def kind_of(database: object) -> Kind:
    """What was given. Raises RotaError for what is no database that we know."""
    if isinstance(database, str) and database.startswith(("postgresql://", "postgres://")):
        return "postgresql address"
    kind: Any = type(database)
    return _kind_of_type(kind)


@cache
def _kind_of_type(kind: type) -> Kind:
    if issubclass(kind, str | Path):
        return "sqlite file"
    if issubclass(kind, sqlite3.Connection):
        return "sqlite connection"
    lend = getattr(kind, "getconn", None)
    if lend is not None and hasattr(kind, "connection"):
        return "async postgresql pool" if inspect.iscoroutinefunction(lend) else "postgresql pool"
    execute = getattr(kind, "execute", None)
    if execute is not None and hasattr(kind, "transaction"):
        is_async = inspect.iscoroutinefunction(execute)
        return "async postgresql connection" if is_async else "postgresql connection"
    raise RotaError(
        f"{kind.__name__} is no database: give the path of an SQLite file, a connection of sqlite3, "
        "an address (postgresql://…), or a connection or pool of psycopg 3"
    )


def dialect_of(database: object) -> Dialect:
    """Which SQL it speaks."""
    return "sqlite" if kind_of(database).startswith("sqlite") else "postgresql"


def table_name(name: str) -> str:
    """The name, if it can be one (``rota_done``, ``effects.rota_done``). Raises RotaError otherwise."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?", name):
        raise RotaError(f"{name!r} cannot be the name of a table: letters, digits and _, after a letter")
    return name


def is_missing_table(error: BaseException) -> bool:
    """Whether a statement failed because its table is not there."""
    if isinstance(error, sqlite3.OperationalError):
        return "no such table" in str(error)
    return getattr(error, "sqlstate", None) == "42P01"


# Steps are generators of statements, which are sent the answers (or thrown the errors): what is to be done, written
# once for threads and for event loops.


def drive(steps: Generator[S, A, T], run: Callable[[S], A]) -> T:
    """Go through the steps; what they return."""
    try:
        step = next(steps)
        while True:
            try:
                answer = run(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(steps: Generator[S, A, T], run: Callable[[S], Awaitable[A]]) -> T:
    """The same in an event loop."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await run(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def ask(connection: Any, statement: Statement, dialect: Dialect) -> Answer:
    """Run a statement on a connection of sqlite3 or psycopg."""
    cursor = connection.execute(translated(statement.text, dialect), statement.values)
    return Answer(cursor.fetchall() if cursor.description else [], cursor.rowcount)


async def ask_async(connection: Any, statement: Statement) -> Answer:
    """Run a statement on an asynchronous connection of psycopg."""
    cursor = await connection.execute(translated(statement.text, "postgresql"), statement.values)
    return Answer(await cursor.fetchall() if cursor.description else [], cursor.rowcount)


@contextmanager
def transaction(connection: Any, dialect: Dialect) -> Iterator[None]:
    """A transaction of its own, committed at the end, or rolled back. Raises RotaError in the middle of
    another one.
    """
    if dialect == "postgresql":
        check_idle(connection.info.transaction_status)
        with connection.transaction():
            yield
        return
    check_idle(connection.in_transaction)
    connection.execute("BEGIN IMMEDIATE")  # waits here, not in the middle, for other processes that write
    try:
        yield
        connection.execute("COMMIT")  # commit() does nothing where autocommit=True (Python 3.12)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@asynccontextmanager
async def transaction_async(connection: Any) -> AsyncIterator[None]:
    """The same on an asynchronous connection of psycopg."""
    check_idle(connection.info.transaction_status)
    async with connection.transaction():
        yield


def check_idle(busy: object) -> None:
    """RotaError if the connection is in a transaction."""
    if busy:
        raise RotaError(
            "the database connection is in a transaction already, which would be committed by somebody else: "
            "give one that is in none (with sqlite3: isolation_level=None)"
        )


# Connections that several threads or tasks share: one transaction at a time.

_guard = threading.Lock()
_threads: dict[int, tuple[threading.RLock, list[None]]] = {}
_tasks: dict[int, tuple[asyncio.Lock, list[asyncio.Task[Any] | None]]] = {}


@contextmanager
def the_only_thread(connection: object) -> Iterator[None]:
    """Wait until no other thread is at this connection."""
    with _guard:
        lock, users = _threads.setdefault(id(connection), (threading.RLock(), []))
        users.append(None)
    try:
        with lock:
            yield
    finally:
        with _guard:
            users.pop()
            if not users:
                del _threads[id(connection)]


@asynccontextmanager
async def the_only_task(connection: object) -> AsyncIterator[None]:
    """Wait until no other task is at this connection. A task that is at it already goes on."""
    me = asyncio.current_task()
    lock, users = _tasks.setdefault(id(connection), (asyncio.Lock(), []))
    if me in users:
        yield
        return
    users.append(me)
    try:
        async with lock:
            yield
    finally:
        users.remove(me)
        if not users:
            del _tasks[id(connection)]
