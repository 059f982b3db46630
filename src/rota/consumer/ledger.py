"""Effects that no transaction can hold, such as e-mails and calls of other people's APIs.

    ledger = Ledger("mails.db", lease_s=60, ambiguous="verify", verify=mail_server_has)

    with ledger.once(f"invoice {number}") as claim:
        if claim:
            send(mail)

A key is *claimed* before its effect and *done* after it, each written to SQLite or PostgreSQL and committed at
once. Who finds it done does nothing. Who finds it claimed by somebody else waits (`RetryLaterError`: the runtime
tries the record again, and does not count that as an attempt) until the claim's lease is over. Then, as after an
error in the middle of the effect, nobody can know whether it happened: the claim is *ambiguous*, and what comes of
it was chosen when the ledger was made. docs/effects.md says what each choice guarantees, and why the lease must be
longer than the effect can take.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from rota.consumer.effects.databases import (
    Answer,
    Dialect,
    Statement,
    drive,
    drive_async,
    table_name,
    translated,
)
from rota.consumer.effects.ledger_claims import AmbiguousChoice, Book, Claim, ClaimLostError, Question
from rota.consumer.effects.ledger_rules import Ambiguous, Rules, milliseconds
from rota.consumer.effects.statements import AsyncStatements, Statements
from rota.consumer.naming import names_checked
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import TypeAlias

    Verify: TypeAlias = Callable[[str], bool] | Callable[[str], Awaitable[bool]]

__all__ = ["Ambiguous", "AmbiguousChoice", "AsyncLedger", "Claim", "ClaimLostError", "Ledger"]


@names_checked
class Ledger:
    """``database``: the path of an SQLite file, an address (``postgresql://…``), or a connection or pool of
    sqlite3 or psycopg. From any thread.

    ``lease_s``: how long a claim keeps others away; longer than the effect can take, its time-outs included.
    ``ambiguous``: what happens if nobody knows whether an effect happened: ``"repeat"`` (at least once), ``"skip"``
    (at most once; see `ambiguous`), or ``"verify"``: ask ``verify(key)``, True if it happened. ``undone``:
    exceptions that prove that nothing happened. ``create``: make the table when it is missing (see `schema`).
    """

    def __init__(
        self,
        database: object,
        *,
        lease_s: float,
        ambiguous: AmbiguousChoice,
        verify: Verify | None = None,
        undone: tuple[type[BaseException], ...] = (),
        table: str = "rota_ledger",
        create: bool = True,
    ) -> None:
        self._book = Book(lease_s=lease_s, ambiguous=ambiguous, verify=verify, undone=undone, table=table)
        self._statements = Statements(database, [self._book.rules.create()] if create else [])

    @staticmethod
    def schema(dialect: Dialect, table: str = "rota_ledger") -> str:
        """The statement that makes the table, for those who make their tables themselves."""
        return translated(Rules(table_name(table), "", 0).create().text, dialect)

    def once(
        self,
        key: str,
        *,
        note: str = "",
        verify: Verify | None = None,
    ) -> _Once:
        """Claim a key: ``with`` in a thread, ``async with`` in an event loop (the database is then asked in a
        thread). ``note``: what a person should know of it if it becomes ambiguous. ``verify``: instead of the
        ledger's.
        """
        return _Once(self._book, self._statements, key, note, self._book.chosen_verify(verify))

    def ambiguous(self) -> list[Ambiguous]:
        """Effects of which nobody knows whether they happened, the oldest first."""
        return [Ambiguous(*row) for row in self._statements.run(self._book.rules.list_ambiguous()).rows]

    def settle(self, key: str, *, happened: bool) -> bool:
        """Somebody has found out: it is done, or may be done when its record comes again. False if it was not
        ambiguous.
        """
        return self._statements.run(self._book.rules.settle(key, happened=happened)).changed == 1

    def prune(self, older_s: float) -> int:
        """Forget what was done so long ago; how many. Choose longer than a record can take to come again, which
        is as long as its topic keeps it.
        """
        return self._statements.run(self._book.rules.prune(_age_ms(older_s))).changed

    def close(self) -> None:
        """Close the connection that the ledger made, if it made one."""
        self._statements.close()


@names_checked
class AsyncLedger:
    """The same on an asynchronous connection or pool of psycopg: see `Ledger`."""

    def __init__(
        self,
        database: object,
        *,
        lease_s: float,
        ambiguous: AmbiguousChoice,
        verify: Verify | None = None,
        undone: tuple[type[BaseException], ...] = (),
        table: str = "rota_ledger",
        create: bool = True,
    ) -> None:
        self._book = Book(lease_s=lease_s, ambiguous=ambiguous, verify=verify, undone=undone, table=table)
        self._statements = AsyncStatements(database, [self._book.rules.create()] if create else [])

    def once(
        self,
        key: str,
        *,
        note: str = "",
        verify: Verify | None = None,
    ) -> _AsyncOnce:
        """Claim a key, with ``async with``: see `Ledger.once`."""
        return _AsyncOnce(self._book, self._statements.run, key, note, self._book.chosen_verify(verify))

    async def ambiguous(self) -> list[Ambiguous]:
        """See `Ledger.ambiguous`."""
        answer = await self._statements.run(self._book.rules.list_ambiguous())
        return [Ambiguous(*row) for row in answer.rows]

    async def settle(self, key: str, *, happened: bool) -> bool:
        """See `Ledger.settle`."""
        return (await self._statements.run(self._book.rules.settle(key, happened=happened))).changed == 1

    async def prune(self, older_s: float) -> int:
        """See `Ledger.prune`."""
        return (await self._statements.run(self._book.rules.prune(_age_ms(older_s)))).changed


class _AsyncOnce:
    """One claim in an event loop; ``run`` does a statement."""

    def __init__(
        self,
        book: Book,
        run: Callable[[Statement], Awaitable[Answer]],
        key: str,
        note: str,
        verify: Callable[[str], Any] | None,
    ) -> None:
        self._book = book
        self._run = run
        self._key = key
        self._note = note
        self._verify = verify
        self._claim: Claim | None = None

    async def __aenter__(self) -> Claim:
        claim = Claim(self._key, 0, again=False, renew=self._renew)
        await drive_async(self._book.opening(claim, self._note, self._verify), self._step)
        self._claim = claim
        return claim

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._claim is not None
        await drive_async(self._book.closing(self._claim, error), self._step)

    async def _renew(self, claim: Claim) -> None:
        await drive_async(self._book.renewing(claim), self._step)

    async def _step(self, step: Statement | Question) -> Any:
        if isinstance(step, Statement):
            return await self._run(step)
        happened = step.verify(step.key)
        return await happened if inspect.isawaitable(happened) else happened


class _Once(_AsyncOnce):
    """One claim, in a thread or in an event loop."""

    def __init__(
        self, book: Book, statements: Statements, key: str, note: str, verify: Callable[[str], Any] | None
    ) -> None:
        async def run(statement: Statement) -> Answer:
            return await asyncio.to_thread(statements.run, statement)

        super().__init__(book, run, key, note, verify)
        self._statements = statements

    def __enter__(self) -> Claim:
        claim = Claim(self._key, 0, again=False, renew=self._renew_here)
        drive(self._book.opening(claim, self._note, self._verify), self._step_here)
        self._claim = claim
        return claim

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._claim is not None
        drive(self._book.closing(self._claim, error), self._step_here)

    def _renew_here(self, claim: Claim) -> None:
        drive(self._book.renewing(claim), self._step_here)

    def _step_here(self, step: Statement | Question) -> Any:
        if isinstance(step, Statement):
            return self._statements.run(step)
        happened = step.verify(step.key)
        if inspect.isawaitable(happened):
            raise RotaError("verify is asynchronous: use `async with ledger.once(...)`")
        return happened


def _age_ms(older_s: float) -> int:
    return milliseconds("older_s", older_s, least_s=0, meaning="longer than a record can take to come again")
