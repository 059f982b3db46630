"""The ledger as rules: what a row says, what follows from it, and the statements that make it so.

No database and no clock: a row brings the time at which it was read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from rota.consumer.effects.databases import Answer, Statement
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Ambiguous", "Outcome", "Row", "Rules", "Verdict", "judge", "milliseconds"]

State = Literal["claimed", "done", "ambiguous", "free"]
Verdict = Literal["take", "finish", "done", "ambiguous", "held"]


_LONGEST_S = 100 * 365 * 86_400
"""A hundred years: what is added to the time of day must stay a number that databases take."""


def milliseconds(name: str, seconds: object, *, least_s: float, meaning: str) -> int:
    """What was given in seconds. Raises RotaError for what is no such number."""
    number = seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) else math.nan
    if not least_s <= number <= _LONGEST_S:
        raise RotaError(f"{name} is {seconds!r}; it must be {meaning}, in seconds")
    return round(number * 1000)


class Row(NamedTuple):
    """What the table says of a key. Times are milliseconds since 1970 by the database's clock; ``now_ms`` is
    when it was read.
    """

    state: State
    owner: str
    token: int
    lease_ends_ms: int
    now_ms: int


class Ambiguous(NamedTuple):
    """An effect of which nobody knows whether it happened."""

    key: str
    owner: str
    """Who was at it: the machine, the process, and a random part."""
    since_ms: int
    """When it was claimed, milliseconds since 1970."""
    note: str
    """What was said of it when it was claimed."""


class Outcome(NamedTuple):
    """What came of asking for a key. ``token``: of the claim, if it was taken, else 0. ``again``: it may have
    happened before. ``wait_ms``: how long the claim that is in the way has to live.
    """

    verdict: Verdict
    token: int = 0
    again: bool = False
    wait_ms: int = 0


def judge(row: Row, me: str, *, finished: bool) -> Verdict:
    """What a row means for ``me``, who is not at this key now. ``finished``: I have done it, and could not
    write so.
    """
    if row.state == "done":
        return "done"
    if row.state == "free":
        return "take"
    if row.state == "ambiguous":
        return "ambiguous"
    if row.owner == me:
        return "finish" if finished else "ambiguous"
    return "held" if row.now_ms < row.lease_ends_ms else "ambiguous"


class Rules:
    """Statements on ``table``, as steps (see `rota.consumer.effects.databases`); ``me`` is who writes them."""

    def __init__(self, table: str, me: str, lease_ms: int) -> None:
        self.table = table
        self.me = me
        self._lease_ms = lease_ms

    def create(self) -> Statement:
        """The table, if it is not there."""
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {self.table} ("
            "effect_key TEXT NOT NULL PRIMARY KEY, "
            "state TEXT NOT NULL, "
            "owner TEXT NOT NULL, "
            "token BIGINT NOT NULL, "
            "claimed_ms BIGINT NOT NULL, "
            "lease_ends_ms BIGINT NOT NULL, "
            "ended_ms BIGINT, "
            "note TEXT NOT NULL)"
        )

    def claim(
        self, key: str, note: str, *, finished: bool, take_ambiguous: bool
    ) -> Generator[Statement, Answer, Outcome]:
        """Ask for a key; an ambiguous one is taken over, or left for a person."""
        while True:
            if (yield self._insert(key, note)).changed == 1:
                return Outcome("take", 1)
            answer = yield self._read(key)
            if not answer.rows:
                continue  # it was forgotten in between
            row = Row(*answer.rows[0])
            verdict = judge(row, self.me, finished=finished)
            if verdict == "held":
                return Outcome("held", wait_ms=row.lease_ends_ms - row.now_ms)
            if verdict == "done" or (verdict == "ambiguous" and row.state == verdict and not take_ambiguous):
                return Outcome(verdict)
            if verdict == "finish":
                if (yield self.finish(key, row.token)).changed == 1:
                    return Outcome("done")
            elif verdict == "take" or take_ambiguous:
                if (yield self._take_over(key, note, row)).changed == 1:
                    return Outcome("take", row.token + 1, again=verdict == "ambiguous")
            else:
                yield self._give_up_on(key, row)
            # Look again: at what was just written, or at what somebody quicker has.

    def _insert(self, key: str, note: str) -> Statement:
        return Statement(
            f"INSERT INTO {self.table} (effect_key, state, owner, token, claimed_ms, lease_ends_ms, note) "
            "VALUES (?, 'claimed', ?, 1, {now}, {now} + ?, ?) ON CONFLICT DO NOTHING",
            (key, self.me, self._lease_ms, note),
        )

    def _read(self, key: str) -> Statement:
        return Statement(
            f"SELECT state, owner, token, lease_ends_ms, {{now}} FROM {self.table} WHERE effect_key = ?",
            (key,),
        )

    # Between reading a row and changing it its owner may have renewed the lease, or somebody else have taken it.

    def _take_over(self, key: str, note: str, row: Row) -> Statement:
        return Statement(
            f"UPDATE {self.table} SET state = 'claimed', owner = ?, token = token + 1, note = ?, "
            "claimed_ms = {now}, lease_ends_ms = {now} + ? "
            "WHERE effect_key = ? AND token = ? AND state = ? AND lease_ends_ms = ?",
            (self.me, note, self._lease_ms, key, row.token, row.state, row.lease_ends_ms),
        )

    def _give_up_on(self, key: str, row: Row) -> Statement:
        return Statement(
            f"UPDATE {self.table} SET state = 'ambiguous' "
            "WHERE effect_key = ? AND token = ? AND state = ? AND lease_ends_ms = ?",
            (key, row.token, row.state, row.lease_ends_ms),
        )

    # What the owner of a claim says; it changes nothing if the claim is somebody else's by now.

    def renew(self, key: str, token: int) -> Statement:
        """The lease begins anew."""
        return Statement(
            f"UPDATE {self.table} SET lease_ends_ms = {{now}} + ? "
            "WHERE effect_key = ? AND token = ? AND owner = ? AND state = 'claimed'",
            (self._lease_ms, key, token, self.me),
        )

    def finish(self, key: str, token: int) -> Statement:
        """It happened. May be said twice, and also of what others took for ambiguous."""
        return Statement(
            f"UPDATE {self.table} SET state = 'done', ended_ms = {{now}} "
            "WHERE effect_key = ? AND token = ? AND owner = ?",
            (key, token, self.me),
        )

    def doubt(self, key: str, token: int) -> Statement:
        """Nobody knows whether it happened."""
        return self._end(key, token, "ambiguous")

    def release(self, key: str, token: int) -> Statement:
        """It certainly did not happen."""
        return self._end(key, token, "free")

    def _end(self, key: str, token: int, state: State) -> Statement:
        return Statement(
            f"UPDATE {self.table} SET state = ?, ended_ms = {{now}} "
            "WHERE effect_key = ? AND token = ? AND owner = ? AND state = 'claimed'",
            (state, key, token, self.me),
        )

    # What people say and ask.

    def list_ambiguous(self) -> Statement:
        """The oldest first."""
        return Statement(
            f"SELECT effect_key, owner, claimed_ms, note FROM {self.table} "
            f"WHERE {_DOUBTFUL} ORDER BY claimed_ms, effect_key"
        )

    def settle(self, key: str, *, happened: bool) -> Statement:
        """Somebody has found out. Touches only what is ambiguous."""
        return Statement(
            f"UPDATE {self.table} SET state = ?, token = token + 1, owner = ?, ended_ms = {{now}} "
            f"WHERE effect_key = ? AND {_DOUBTFUL}",
            ("done" if happened else "free", self.me, key),
        )

    def prune(self, older_ms: int) -> Statement:
        """Forget what was settled so long ago."""
        return Statement(
            f"DELETE FROM {self.table} WHERE state IN ('done', 'free') AND ended_ms < {{now}} - ?",
            (older_ms,),
        )


_DOUBTFUL = "(state = 'ambiguous' OR (state = 'claimed' AND lease_ends_ms <= {now}))"
