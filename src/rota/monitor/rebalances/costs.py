"""How long partitions waited because of which rebalance; no wait is charged to two of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from rota.model import count_of
from rota.monitor.rebalances.departures import Departure, silence
from rota.timeline.look import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rota.model import TopicPartition
    from rota.monitor.rebalances.ends import Ends
    from rota.monitor.rebalances.steps import Step
    from rota.timeline.account import Account
    from rota.timeline.pauses import Pause

__all__ = ["Cost", "charge"]

WORTH_MS: Final = 50
"""Shorter waits are not worth a word."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How long partitions waited because of one rebalance.

    ``paused`` says for how many milliseconds each did, at most. What a silent member had was read by nobody from its
    last sign of life to the new assignment; it may have lived on for a while after its last commit, so ``at_least``
    says how long it waited in any case. Of other partitions it is the time between two commits (``by_commits``) where
    the group commits often enough, else the time for which nobody had them. ``records`` came meanwhile, at most, and
    had to wait; None: nobody watched the ends of the partitions. ``since_ms`` is when each wait began.
    """

    paused: dict[TopicPartition, int]
    by_commits: bool
    records: int | None = None
    at_least: dict[TopicPartition, int] = field(default_factory=dict)
    since_ms: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def partition_ms(self) -> int:
        """All of it together at most: partitions times milliseconds."""
        return sum(self.paused.values())

    @property
    def words(self) -> str:
        """One line; "" where nothing waited."""
        if max(self.paused.values(), default=0) < WORTH_MS:
            return ""
        least = [self.at_least.get(tp, ms) for tp, ms in self.paused.items()]
        text = f"{count_of(len(self.paused), 'partition')} waited, {_span(sum(least), self.partition_ms)} together"
        longest = _span(max(least), max(self.paused.values()))
        text += f", {longest} the longest" if len(self.paused) > 1 else ""
        text += f" ({self._measured()})"
        if self.records is None:
            return text
        return f"{text}; {'up to ' if self.at_least else ''}{count_of(self.records, 'record')} came meanwhile"

    def _measured(self) -> str:
        others = "between two commits" if self.by_commits else "without an owner"
        if not self.at_least:
            return others
        which = "it" if len(self.at_least) == 1 else "them"
        text = f"nobody read {which} from its member's last sign of life to the new assignment"
        if len(self.at_least) == len(self.paused):
            return text
        return f"{count_of(len(self.at_least), 'partition')}: {text}; the others: {others}"


def _span(least_ms: int, most_ms: int) -> str:
    if most_ms - least_ms < WORTH_MS:
        return seconds(most_ms)
    if least_ms < WORTH_MS:
        return f"up to {seconds(most_ms)}"
    return f"at least {seconds(least_ms)}, up to {seconds(most_ms)}"


class _Wait(NamedTuple):
    """From when to when a partition waited, and for how long in any case."""

    since_ms: int
    until_ms: int
    least_ms: int


_Charged = dict["TopicPartition", list[tuple[int, int]]]
_Waits = dict["TopicPartition", _Wait]
_Step = tuple["Step", "Account | None"]


def charge(steps: Sequence[_Step], ends: Ends | None) -> list[tuple[Step, Account | None, Cost]]:
    """What each rebalance cost, and the account of it with the pauses that are its own.

    What is known of silent members comes first; then a wait belongs to the first rebalance that it overlaps.
    """
    charged: _Charged = {}
    silent: list[_Waits] = []
    for index, (step, account) in enumerate(steps):
        silent.append(_after(charged, _unread(step, account, steps[index + 1 :])))
        _note(charged, silent[-1])
    found: list[tuple[Step, Account | None, Cost]] = []
    for (step, account), unread in zip(steps, silent, strict=True):
        if account is None:
            found.append((step, None, Cost({}, by_commits=False)))
            continue
        account = replace(account, pauses=tuple(_unclaimed(account.pauses, charged)))
        others = {pause.partition: _of(pause) for pause in sorted(account.pauses, key=_length)}
        by_commits = bool(others)
        if not by_commits:
            bare = _without_owner(account, exact=step.is_exact)
            others = {tp: wait for tp, wait in bare.items() if _is_free(charged, tp, wait[0], wait[1])}
        for pause in account.pauses:
            charged.setdefault(pause.partition, []).append(
                (pause.start_ms, pause.start_ms + pause.duration_ms)
            )
        if not by_commits:
            _note(charged, others)
        found.append((step, account, _cost(unread, others, ends, by_commits=by_commits)))
    return found


def _cost(unread: _Waits, others: _Waits, ends: Ends | None, *, by_commits: bool) -> Cost:
    waits = {tp: each for tp, each in sorted((others | unread).items()) if each.until_ms > each.since_ms}
    paused = {tp: each.until_ms - each.since_ms for tp, each in waits.items()}
    came = [
        None if ends is None else ends.between(tp, each.since_ms, each.until_ms) for tp, each in waits.items()
    ]
    known = [count for count in came if count is not None]
    records = sum(known) if known and len(known) == len(came) else None
    at_least = {tp: each.least_ms for tp, each in waits.items() if tp in unread}
    return Cost(paused, by_commits, records, at_least, {tp: each.since_ms for tp, each in waits.items()})


def _unread(step: Step, account: Account | None, later: Sequence[_Step]) -> _Waits:
    """What silent members had: nobody read that from their last signs of life until others were given it."""
    found: _Waits = {}
    if account is None or step.completed is None:
        return found
    for gone in step.causes:
        told = silence(gone) if isinstance(gone, Departure) else None
        if told is None or not isinstance(gone, Departure):
            continue
        for tp in gone.held:
            until_ms = max(
                _taken_ms(tp, [account, *(each for _, each in later if each is not None)]), told.since_ms
            )
            most_ms = until_ms - told.since_ms
            least_ms = max(until_ms - step.started_ms, 0) + told.least_ms
            found[tp] = _Wait(told.since_ms, until_ms, min(least_ms, most_ms))
    return found


def _after(charged: _Charged, waits: _Waits) -> _Waits:
    """What one dead member passed to another had waited for the first before."""
    found: _Waits = {}
    for tp, wait in waits.items():
        since_ms = max([wait.since_ms, *(end for _, end in charged.get(tp, ()) if end <= wait.until_ms)])
        found[tp] = _Wait(since_ms, wait.until_ms, min(wait.least_ms, wait.until_ms - since_ms))
    return found


def _taken_ms(partition: TopicPartition, accounts: Sequence[Account]) -> int:
    """When somebody had it again; the end of the first rebalance where nobody has."""
    for account in accounts:
        taken = [move.taken_ms for move in account.moves if move.partition == partition]
        if taken:
            return min(taken)
        made, done_ms = account.generation, account.rebalance.completed_ms
        if made is not None and done_ms and any(partition in held for held in made.assignment.values()):
            return done_ms
    return accounts[0].rebalance.completed_ms or 0


def _unclaimed(pauses: Iterable[Pause], charged: _Charged) -> Iterable[Pause]:
    for pause in pauses:
        if _is_free(charged, pause.partition, pause.start_ms, pause.start_ms + pause.duration_ms):
            yield pause


def _is_free(
    charged: _Charged,
    partition: TopicPartition,
    since_ms: int,
    until_ms: int,
) -> bool:
    """Whether no part of that time is anybody's yet."""
    return not any(since_ms < end and start < until_ms for start, end in charged.get(partition, ()))


def _note(charged: _Charged, waits: _Waits) -> None:
    for partition, wait in waits.items():
        charged.setdefault(partition, []).append((wait.since_ms, wait.until_ms))


def _of(pause: Pause) -> _Wait:
    return _Wait(pause.start_ms, pause.start_ms + pause.duration_ms, pause.duration_ms)


def _length(pause: Pause) -> int:
    return pause.duration_ms


def _without_owner(account: Account, *, exact: bool) -> _Waits:
    """From when to when nobody had each partition; in an eager rebalance everybody stops for all of it."""
    waits = {move.partition: (move.released_ms, move.taken_ms) for move in account.moves}
    done, made = account.rebalance, account.generation
    if (
        exact
        and made is not None
        and done.completed_ms
        and made.leader
        and "cooperative" not in (made.protocol or "")
    ):
        for held in made.assignment.values():
            for partition in held:
                since_ms, until_ms = waits.get(partition, (done.started_ms, done.completed_ms))
                waits[partition] = min(since_ms, done.started_ms), max(until_ms, done.completed_ms)
    return {tp: _Wait(since_ms, until_ms, until_ms - since_ms) for tp, (since_ms, until_ms) in waits.items()}
