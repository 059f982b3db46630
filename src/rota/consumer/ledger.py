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
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import uuid4

from rota.consumer.databases import Answer, Dialect, Statement, drive, drive_async, table_name, translated
from rota.consumer.later import RetryLaterError
from rota.consumer.ledger_rules import Ambiguous, Outcome, Rules, milliseconds
from rota.consumer.statements import AsyncStatements, Statements
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType
    from typing import TypeAlias

    Verify: TypeAlias = Callable[[str], bool] | Callable[[str], Awaitable[bool]]

__all__ = ["Ambiguous", "AmbiguousChoice", "AsyncLedger", "Claim", "ClaimLostError", "Ledger"]

T = TypeVar("T")

log = logging.getLogger("rota.consumer")

AmbiguousChoice = Literal["repeat", "skip", "verify"]

_LOOK_AGAIN_S = 1.0
"""A record whose effect somebody else is at looks so soon whether it is done; leases are longer."""


class ClaimLostError(RetryLaterError):
    """The lease was over, and somebody else has taken the claim: do nothing more for it."""


class Claim:
    """True if the effect is yours to do. ``again``: it may have happened before (only with "repeat")."""

    def __init__(self, key: str, token: int, *, again: bool, renew: Callable[[Claim], Any]) -> None:
        self.key = key
        self.token = token
        """Grows with every claim of this key; 0 if the effect is not yours. For who can refuse smaller ones."""
        self.again = again
        self.asked = False
        self.released = False
        self._renew = renew

    def __bool__(self) -> bool:
        self.asked = True
        return self.token > 0

    def renew(self) -> Any:
        """Let the lease begin anew, now; with `AsyncLedger` to be awaited.

        Raises ClaimLostError if the claim is somebody else's by now. Called directly before the step that cannot
        be taken back, on a connection that the other side ends sooner than the lease, it keeps a process that
        was frozen (stopped, swapped out, in a virtual machine that was moved) from doing it a second time.
        """
        return self._renew(self)

    def release(self) -> None:
        """The effect certainly did not happen (a refused connection, say): whoever asks next may do it.

        Takes effect when the ``with`` block is left.
        """
        self.released = True


class _Life:
    """What belongs to one process: a name, and who is at which key. A forked process has its own."""

    def __init__(self, table: str, lease_ms: int) -> None:
        self.rules = Rules(table, f"{socket.gethostname()} {os.getpid()} {uuid4().hex[:12]}", lease_ms)
        self.guard = threading.Lock()
        self.busy: set[str] = set()
        self.finished: set[str] = set()
        """Keys whose effect happened, and whose row could not be written so."""


class _Book:
    """What both ledgers know: the choices, who is at which key, and the steps of a claim."""

    def __init__(
        self,
        *,
        lease_s: float,
        ambiguous: AmbiguousChoice,
        verify: Callable[[str], Any] | None,
        undone: tuple[type[BaseException], ...],
        table: str,
    ) -> None:
        self._lease_ms = milliseconds(
            "lease_s", lease_s, least_s=0.001, meaning="longer than the effect can take, and 0.001 at least"
        )
        if ambiguous not in ("repeat", "skip", "verify"):
            raise RotaError(f"ambiguous is {ambiguous!r}; it must be 'repeat', 'skip' or 'verify'")
        if verify is not None and ambiguous != "verify":
            raise RotaError(f"verify is never asked with ambiguous={ambiguous!r}: choose ambiguous='verify'")
        self.verify = verify
        self._table = table_name(table)
        self._ambiguous = ambiguous
        self._undone = undone
        self._lives: dict[int, _Life] = {}

    @property
    def rules(self) -> Rules:
        """The statements, as this process writes them."""
        return self._life.rules

    @property
    def _life(self) -> _Life:
        pid = os.getpid()
        # setdefault is one step: of two threads that ask first in a forked process, both get the same.
        return self._lives.get(pid) or self._lives.setdefault(pid, _Life(self._table, self._lease_ms))

    def chosen_verify(self, verify: Callable[[str], Any] | None) -> Callable[[str], Any] | None:
        """What is asked about an ambiguous claim; None if nothing is."""
        chosen = verify or self.verify
        if self._ambiguous == "verify" and chosen is None:
            raise RotaError("ambiguous='verify' needs a function: Ledger(..., verify=) or once(..., verify=)")
        if self._ambiguous != "verify" and verify is not None:
            raise RotaError(f"verify is never asked with ambiguous={self._ambiguous!r}")
        return chosen

    def enter(self, key: str) -> None:
        """One at a time in this process."""
        life = self._life
        with life.guard:
            if key in life.busy:
                raise _held(key, _LOOK_AGAIN_S)
            life.busy.add(key)

    def leave(self, key: str) -> None:
        life = self._life
        with life.guard:
            life.busy.discard(key)

    def claiming(self, key: str, note: str) -> Generator[Statement, Answer, Outcome]:
        """Raises RetryLaterError if somebody else is at it."""
        outcome = yield from self.rules.claim(
            key, note, finished=key in self._life.finished, take_ambiguous=self._ambiguous != "skip"
        )
        if outcome.verdict == "held":
            raise _held(key, min(outcome.wait_ms / 1000, _LOOK_AGAIN_S))
        self._life.finished.discard(key)
        if outcome.verdict == "ambiguous":
            log.warning("nobody knows whether %r happened: it is skipped, and listed as ambiguous", key)
        return outcome

    def verified(self, claim: Claim, happened: object) -> Generator[Statement, Answer, None]:
        """The other side was asked whether the effect of an earlier claim happened."""
        if not isinstance(happened, bool):
            raise RotaError(f"verify said {happened!r} of {claim.key!r}: it must say True or False, or raise")
        log.info(
            "%r was begun and not finished; it %s", claim.key, "happened" if happened else "did not happen"
        )
        if happened:
            yield self.rules.finish(claim.key, claim.token)
            claim.token = 0
        else:
            yield from self.renewing(claim)
        claim.again = False

    def renewing(self, claim: Claim) -> Generator[Statement, Answer, None]:
        assert claim.token, "only a claim that was taken can be renewed"
        if (yield self.rules.renew(claim.key, claim.token)).changed == 0:
            raise _lost(claim)

    def ending(self, claim: Claim, error: BaseException | None) -> Generator[Statement, Answer, None]:
        """The block was left. What could not be written is remembered, or found by the end of the lease."""
        if not claim.token:
            return
        if error is None and not claim.released:
            self._life.finished.add(claim.key)
            answer = yield self.rules.finish(claim.key, claim.token)
            self._life.finished.discard(claim.key)
            if answer.changed == 0:
                raise _lost(claim)
        elif claim.released or isinstance(error, self._undone):
            yield self.rules.release(claim.key, claim.token)
        else:
            yield self.rules.doubt(claim.key, claim.token)

    @staticmethod
    def unwritten(key: str, error: BaseException | None, problem: Exception) -> None:
        """The end of a claim could not be written. An error of the effect itself says more than that."""
        if error is None:
            raise problem
        log.warning(
            "the end of the claim of %r could not be written: %s; its lease will end it", key, problem
        )

    @staticmethod
    def check_asked(claim: Claim, error: BaseException | None) -> None:
        """Whoever does not ask would do it every time."""
        if error is None and not claim.asked:
            raise RotaError(
                f"the block of `with ledger.once({claim.key!r}) as claim` did not ask `if claim:`; without it "
                "the effect happens every time"
            )


def _age_ms(older_s: float) -> int:
    return milliseconds("older_s", older_s, least_s=0, meaning="longer than a record can take to come again")


def _held(key: str, wait_s: float) -> RetryLaterError:
    return RetryLaterError(f"somebody else is at {key!r}", wait_s)


def _lost(claim: Claim) -> ClaimLostError:
    log.warning(
        "%r took longer than its lease, and somebody else has taken it over; make the lease longer than the "
        "effect can take", claim.key,
    )  # fmt: skip
    return ClaimLostError(f"the claim of {claim.key!r} is somebody else's", _LOOK_AGAIN_S)


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
        self._book = _Book(lease_s=lease_s, ambiguous=ambiguous, verify=verify, undone=undone, table=table)
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
        self._book = _Book(lease_s=lease_s, ambiguous=ambiguous, verify=verify, undone=undone, table=table)
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
        book: _Book,
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
        self._book.enter(self._key)
        claim = Claim(self._key, 0, again=False, renew=self._renew)
        try:
            outcome: Outcome = await drive_async(self._book.claiming(self._key, self._note), self._run)
            claim.token, claim.again = outcome.token, outcome.again
            if claim.again and self._verify is not None:
                happened = self._verify(self._key)
                if inspect.isawaitable(happened):
                    happened = await happened
                await drive_async(self._book.verified(claim, happened), self._run)
        except BaseException as error:
            try:
                await drive_async(self._book.ending(claim, error), self._run)
            except Exception as problem:
                self._book.unwritten(self._key, error, problem)
            finally:
                self._book.leave(self._key)
            raise
        self._claim = claim
        return claim

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._claim is not None
        try:
            await drive_async(self._book.ending(self._claim, error), self._run)
        except Exception as problem:
            self._book.unwritten(self._key, error, problem)
        finally:
            self._book.leave(self._key)
        self._book.check_asked(self._claim, error)

    async def _renew(self, claim: Claim) -> None:
        await drive_async(self._book.renewing(claim), self._run)


class _Once(_AsyncOnce):
    """One claim, in a thread or in an event loop."""

    def __init__(
        self, book: _Book, statements: Statements, key: str, note: str, verify: Callable[[str], Any] | None
    ) -> None:
        async def run(statement: Statement) -> Answer:
            return await asyncio.to_thread(statements.run, statement)

        super().__init__(book, run, key, note, verify)
        self._statements = statements

    def __enter__(self) -> Claim:
        run = self._statements.run
        self._book.enter(self._key)
        claim = Claim(self._key, 0, again=False, renew=self._renew_here)
        try:
            outcome = drive(self._book.claiming(self._key, self._note), run)
            claim.token, claim.again = outcome.token, outcome.again
            if claim.again and self._verify is not None:
                happened = self._verify(self._key)
                if inspect.isawaitable(happened):
                    raise RotaError("verify is asynchronous: use `async with ledger.once(...)`")
                drive(self._book.verified(claim, happened), run)
        except BaseException as error:
            try:
                drive(self._book.ending(claim, error), run)
            except Exception as problem:
                self._book.unwritten(self._key, error, problem)
            finally:
                self._book.leave(self._key)
            raise
        self._claim = claim
        return claim

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._claim is not None
        try:
            drive(self._book.ending(self._claim, error), self._statements.run)
        except Exception as problem:
            self._book.unwritten(self._key, error, problem)
        finally:
            self._book.leave(self._key)
        self._book.check_asked(self._claim, error)

    def _renew_here(self, claim: Claim) -> None:
        drive(self._book.renewing(claim), self._statements.run)
