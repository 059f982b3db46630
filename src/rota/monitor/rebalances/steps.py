"""One rebalance as it is found in the log: who came, who went, why it began, when it was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.model import TopicPartition
from rota.monitor.rebalances.broker_log import Line, upgraded
from rota.monitor.rebalances.departures import Departure, judge, silence
from rota.plain import replace
from rota.timeline.events import MemberLeft, RebalanceStarted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.monitor.rebalances.verdicts import Verdict
    from rota.timeline.events import Event, MemberJoined, MemberReconciled, RebalanceCompleted

__all__ = ["Step", "renamed"]


def renamed(held: tuple[TopicPartition, ...], names: Mapping[str, str]) -> tuple[TopicPartition, ...]:
    """The same partitions, their topics by other names where there are any."""
    return tuple(sorted(TopicPartition(names.get(tp.topic, tp.topic), tp.partition) for tp in held))


@dataclass(slots=True)
class Step:
    """A rebalance, or (``restart``) a static member that took its former place without one.

    It began between ``earliest_ms`` and ``started_ms``; of a classic group only its end is recorded. Verdicts on
    departures are made anew whenever somebody asks: what comes later (a member that is back, a broker's log) counts.
    """

    group: str
    generation: int
    """The one that ends."""
    earliest_ms: int
    started_ms: int
    causes: list[Verdict | Departure] = field(default_factory=list)
    joined: list[MemberJoined] = field(default_factory=list)
    left: list[tuple[int, Verdict | Departure]] = field(default_factory=list)
    held: list[MemberReconciled] = field(default_factory=list)
    completed: RebalanceCompleted | None = None
    restart: bool = False
    skipped: int = 0
    """How many generations before it are not in the log any more."""

    logged: Line | None = None
    """What a broker's log gives as the reason."""
    seen: bool = False
    """Whether somebody saw it begin: it is a record of its own (KIP-848), or the group was asked often enough."""

    after_ms: int = 0
    """When the record before it was written."""

    @property
    def is_exact(self) -> bool:
        """Whether its beginning was seen: it is a record of its own, or the group was asked often enough."""
        return self.seen or self.restart

    @property
    def began_between_ms(self) -> tuple[int, int] | None:
        """The earliest and the latest beginning; None: nothing is known of it but that it was before its end.

        Silent members tell the earliest, since they may have been heard of after their last commits. That holds if
        nothing else may have begun it.
        """
        if self.is_exact:
            return self.began_ms, self.began_ms
        silences = [silence(cause) if isinstance(cause, Departure) else None for cause in self.causes]
        known = [each.earliest_ms for each in silences if each is not None and each.sure]
        if self.completed is None or not known or len(known) < len(silences):
            return None
        done_ms = self.completed.at_ms
        return min(max(self.after_ms, min(known)), done_ms), done_ms

    @property
    def verdicts(self) -> list[Verdict]:
        """Why, the first cause first."""
        found: list[Verdict] = []
        for cause in self.causes:
            verdict = judge(cause) if isinstance(cause, Departure) else cause
            if verdict not in found:
                found.append(verdict)
        return found if self.logged is None else upgraded(found, self.logged)

    @property
    def began_ms(self) -> int:
        """When it began, as far as that is known, else the latest moment that it may be.

        Between two looks a session or a poll interval tells when it was over.
        """
        if not self.is_exact:
            return self.started_ms
        first = self.causes[0] if self.causes else None
        if not isinstance(first, Departure) or not first.signs_ms:
            return self.started_ms
        over = judge(first).reason.value
        lasts_ms = {"session-expired": first.session_ms, "poll-interval-exceeded": first.poll_ms}.get(over)
        if lasts_ms is None:
            return self.started_ms
        return min(max(self.earliest_ms, first.signs_ms[-1] + lasts_ms), self.started_ms)

    def events(self) -> list[Event]:
        """All of it, in the words of `rota.timeline`."""
        began_ms = self.began_ms
        found: list[Event] = []
        for at_ms, cause in self.left:
            verdict = judge(cause) if isinstance(cause, Departure) else cause
            at_ms = min(at_ms, began_ms) if not self.restart else at_ms
            found.append(MemberLeft(at_ms, self.group, verdict.member, verdict.reason, verdict.words))
        found += self.joined
        if not self.restart:
            last_ms = began_ms if self.completed is None else self.completed.at_ms
            for index, each in enumerate(self.verdicts):
                at_ms = (
                    began_ms if index == 0 else max(began_ms, min(began_ms + index, last_ms))
                )  # in this order
                found.append(
                    RebalanceStarted(at_ms, self.group, self.generation, each.reason, each.member, each.words)
                )
        found += self.held
        if self.completed is not None:
            found.append(self.completed)
        return found

    @property
    def named(self) -> set[str]:
        """The ids of all members that it tells of."""
        found = {each.member for each in self.causes if each.member} | {each.member for each in self.held}
        return found if self.completed is None else found | self.completed.assignment.keys()

    def rename(self, names: Mapping[str, str]) -> None:
        """Topics that were known by their ids have names now."""
        for cause in self.causes:
            if isinstance(cause, Departure):
                cause.held = renamed(cause.held, names)
        self.held = [replace(each, partitions=renamed(each.partitions, names)) for each in self.held]
        if self.completed is not None:
            shared = {who: renamed(held, names) for who, held in self.completed.assignment.items()}
            self.completed = replace(self.completed, assignment=shared)
