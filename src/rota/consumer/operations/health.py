"""Is this consumer alive, is it ready, and if not why: judged from snapshots, in words.

Alive is a consumer whose owner thread turns and all of whose partitions get on, or have a reason not to. The
reasons are what somebody asked for (a pause, a limit), and records: one that is running, that waits for its
next attempt, that waits behind such a one. A partition that has records to read, starts none for long and has
no reason is stuck; a restart is the cure for that, and for nothing else. So a broker that does not answer, or a
handler that takes long, does not make a consumer dead, unless `Health.record_running` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.naming import names_checked
from rota.model import RotaError, count_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.consumer.operations.snapshot import PartitionState, State
    from rota.model import TopicPartition

__all__ = ["Health", "Movement", "Verdict", "live", "ready", "reason"]


@names_checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """When ``/health/live`` says no. Times are milliseconds."""

    owner_silent: int = 60_000
    """The owner thread has not turned for so long. It turns while handlers take long, and while a rebalance waits for
    them; hooks and commits that are waited for are on it, and may take some 20 seconds of a bad day.
    """
    partition_stuck: int = 60_000
    """A partition with records to read has started none for so long, and nobody can say why."""
    record_running: int | None = None
    """A record has been running for so long; None: as long as it likes."""

    def __post_init__(self) -> None:
        for name in ("owner_silent", "partition_stuck", "record_running"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | float) or value < 1):
                raise RotaError(f"Health({name}={value!r}): it must be 1 millisecond or more")


class Verdict(NamedTuple):
    """``words``: why, a sentence each."""

    ok: bool
    words: tuple[str, ...]


def reason(partition: PartitionState, state: State) -> str | None:
    """Why a partition does not get on, in words; None if nothing is known that keeps it."""
    if partition.paused is not None:
        return partition.paused
    blocking = partition.blocking
    if blocking is None:
        return None
    if blocking.state == "queued":
        handler = next(each for each in state.handlers if each.name == partition.handler)
        if handler.busy < handler.concurrency:
            return None
        return f"waits for one of {count_of(handler.concurrency, 'worker')}, all of which are busy"
    return f"offset {blocking.offset} {blocking.words}"


class _Mark(NamedTuple):
    """How far a partition was, and since when; and since when it is known to have more to read."""

    at: tuple[int | None, int | None, int | None, int, int]
    since_ms: int
    behind_ms: int | None


class Movement:
    """Which partitions get on, from one look to the next; times are those of the engine's clock.

    Of a partition with nothing under way the question is whether anybody fetches. A fetch is answered twice a
    second, with or without records, and each answer tells the partition's end: if the brokers say that it lies
    further, and have said so for long, there are no answers. (That it lies beyond what was read says nothing: open
    and aborted transactions, and records that were deleted, are never handed out.)
    """

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._marks: dict[TopicPartition, _Mark] = {}

    def quiet(self, state: State, now_ms: int) -> list[TopicPartition]:
        """Take a look; returns the partitions whose true end must be asked for before `stuck` can judge them."""
        marks = {}
        for partition in state.partitions:
            blocking = partition.blocking
            attempts = blocking.attempts if blocking is not None else 0
            at = (partition.position, partition.end, partition.done_to, partition.in_flight, attempts)
            before = self._marks.get(partition.name)
            same = before is not None and before.at == at and reason(partition, state) is None
            marks[partition.name] = before if same and before is not None else _Mark(at, now_ms, None)
        self._marks = marks
        return [
            partition.name
            for partition in state.partitions
            if partition.blocking is None
            and partition.paused is None
            and now_ms - marks[partition.name].since_ms >= self._patience_ms // 4
        ]

    def stuck(self, state: State, ends: Mapping[TopicPartition, int], now_ms: int) -> list[str]:
        """Those that are, in words. ``ends``: what the brokers have answered for the `quiet` ones just now."""
        found = []
        for partition in state.partitions:
            mark = self._marks[partition.name]
            end = ends.get(partition.name)
            if partition.blocking is not None:
                more = reason(partition, state) is None
                what = f"offset {partition.blocking.offset} {partition.blocking.words}, and workers are idle"
            else:
                known = max(partition.end or 0, partition.position or 0)
                more = end is not None and end > known
                what = f"records go up to {end}, and the last answer to a fetch knew of {known}"
            behind_ms = (mark.behind_ms if mark.behind_ms is not None else now_ms) if more else None
            self._marks[partition.name] = mark._replace(behind_ms=behind_ms)
            if behind_ms is not None and now_ms - behind_ms >= self._patience_ms:
                seconds = (now_ms - mark.since_ms) // 1000
                found.append(f"{partition.name} is stuck: {what}; nothing has begun for {seconds} s")
        return found


def live(
    state: State | None, stuck: list[str], silent_ms: int, health: Health, doing: str | None = None
) -> Verdict:
    """``state``: None if the owner did not answer. ``silent_ms``: since it last turned. ``doing``: what keeps it."""
    if state is None:
        words = f"the owner thread has not turned for {silent_ms / 1000:.1f} s"
        return Verdict(silent_ms < health.owner_silent, (f"{words}: {doing}" if doing else words,))
    wrong = list(stuck)
    if health.record_running is not None:
        wrong += [
            f"{handler.longest} has been running for {handler.longest_ms / 1000:.1f} s in {handler.name}"
            for handler in state.handlers
            if handler.longest is not None and handler.longest_ms >= health.record_running
        ]
    if wrong:
        return Verdict(False, tuple(wrong))
    kept = [(partition, reason(partition, state)) for partition in state.partitions if partition.lag]
    return Verdict(True, tuple(f"{partition.name}: {why}" for partition, why in kept if why is not None))


def ready(state: State | None, stopping: str | None) -> Verdict:
    """Whether it takes part in its group. ``stopping``: why it ends, if it does."""
    if stopping is not None:
        return Verdict(False, (stopping,))
    if state is None:
        return Verdict(False, ("the owner thread does not answer",))
    if not state.joined:
        return Verdict(False, (f"not a member of the group {state.group} yet",))
    if not state.partitions:
        return Verdict(True, (f"a member of the group {state.group}, idle: others have all the partitions",))
    share = count_of(len(state.partitions), "partition")
    return Verdict(True, (f"a member of the group {state.group} with {share}",))
