"""A claim of the ledger from its beginning to its end, as steps: for threads and for event loops.

See `rota.consumer.ledger` for what claims are, and `rota.consumer.effects.ledger_rules` for what rows mean.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import uuid4

from rota.consumer.core.later import RetryLaterError
from rota.consumer.effects.databases import Answer, Statement, table_name
from rota.consumer.effects.ledger_rules import Outcome, Rules, milliseconds
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeAlias

    Steps: TypeAlias = "Generator[Statement | Question, Any, None]"

__all__ = ["AmbiguousChoice", "Book", "Claim", "ClaimLostError", "Question", "Steps"]

log = logging.getLogger("rota.consumer")

AmbiguousChoice = Literal["repeat", "skip", "verify"]

_LOOK_AGAIN_S = 1.0
"""A record whose effect somebody else is at looks so soon whether it is done; leases are longer."""


class Question(NamedTuple):
    """A step that asks the other side whether the effect happened: the answer is what ``verify(key)`` says."""

    verify: Callable[[str], Any]
    key: str


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


class Book:
    """What both ledgers know: the choices, which process is at which key, and the steps of a claim."""

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

    def opening(self, claim: Claim, note: str, verify: Callable[[str], Any] | None) -> Steps:
        """The way into the block: the key is claimed, and the other side asked if it must be."""
        life = self._life
        with life.guard:  # one at a time in this process
            if claim.key in life.busy:
                raise _held(claim.key, _LOOK_AGAIN_S)
            life.busy.add(claim.key)
        try:
            outcome = yield from self._claiming(claim.key, note)
            claim.token, claim.again = outcome.token, outcome.again
            if claim.again and verify is not None:
                happened = yield Question(verify, claim.key)
                yield from self._verified(claim, happened)
        except BaseException as error:
            yield from self._left(claim, error)
            raise

    def closing(self, claim: Claim, error: BaseException | None) -> Steps:
        """The way out of the block; ``error`` is what it raised."""
        yield from self._left(claim, error)
        if error is None and not claim.asked:
            raise RotaError(
                f"the block of `with ledger.once({claim.key!r}) as claim` did not ask `if claim:`; without it "
                "the effect happens every time"
            )

    def renewing(self, claim: Claim) -> Steps:
        """The lease begins anew. Raises ClaimLostError."""
        assert claim.token, "only a claim that was taken can be renewed"
        if (yield self.rules.renew(claim.key, claim.token)).changed == 0:
            raise _lost(claim)

    def _claiming(self, key: str, note: str) -> Generator[Statement, Answer, Outcome]:
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

    def _verified(self, claim: Claim, happened: object) -> Steps:
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

    def _left(self, claim: Claim, error: BaseException | None) -> Steps:
        """The end is written. If it cannot be, an error of the effect itself says more than that."""
        try:
            yield from self._ending(claim, error)
        except Exception as problem:
            if error is None:
                raise
            log.warning(
                "the end of the claim of %r could not be written (%s): its lease will end it",
                claim.key,
                problem,
            )
        finally:
            life = self._life
            with life.guard:
                life.busy.discard(claim.key)

    def _ending(self, claim: Claim, error: BaseException | None) -> Steps:
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


def _held(key: str, wait_s: float) -> RetryLaterError:
    return RetryLaterError(f"somebody else is at {key!r}", wait_s)


def _lost(claim: Claim) -> ClaimLostError:
    log.warning(
        "%r took longer than its lease, and somebody else has taken it over; make the lease longer than the "
        "effect can take", claim.key,
    )  # fmt: skip
    return ClaimLostError(f"the claim of {claim.key!r} is somebody else's", _LOOK_AGAIN_S)
