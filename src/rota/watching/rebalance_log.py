"""Why groups rebalance, for whoever looks at them anyway: from ``__consumer_offsets``, or from the looks alone.

What was read of the topic is put into what a look has found (`RebalanceLog.enriched`) and into what is shown
(`RebalanceLog.dressed`). Where the topic may not be read, looks are told apart instead, and `RebalanceLog.failure` says
why less is known.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rota.monitor.rebalances import PollReader
from rota.watching.offsets_topic import OffsetsTopic

if TYPE_CHECKING:
    from rota.admin import Admin
    from rota.model import RotaError
    from rota.monitor.facts import GroupFacts, Snapshot
    from rota.monitor.rebalances import Told
    from rota.monitor.view import GroupView, RebalanceView
    from rota.timeline.events import Event

__all__ = ["RebalanceLog"]

MOST_EVENTS: Final = 200
"""So many of a group's last events are put into a view."""


class RebalanceLog:
    """``groups``: only these; None: all of them. Looks are given to it one after the other, by one thread; its answers
    may be asked for by any, and never wait for the cluster.
    """

    def __init__(self, admin: Admin, groups: Collection[str] | None = None) -> None:
        self._topic = OffsetsTopic(admin, groups)
        self._polled = PollReader()
        self._enriched: dict[str, tuple[GroupFacts, int, GroupFacts]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no further."""
        self._topic.close()

    @property
    def topic(self) -> OffsetsTopic:
        """The reading of the topic, for its progress."""
        return self._topic

    @property
    def failure(self) -> RotaError | None:
        """Why the topic is not read; None where it is."""
        return self._topic.failure

    # Looks

    def look(self, snapshot: Snapshot) -> None:
        """One more look: it tells that a rebalance has begun, and where the topic cannot be read everything else."""
        failed = self._topic.failure is not None
        for group, facts in snapshot.groups.items():
            if failed:
                self._polled.look(facts, snapshot.commits.get(group, {}), snapshot.at_ms)
            else:
                self._topic.look(facts, snapshot.at_ms, round(snapshot.took_ms))

    def enriched(self, snapshot: Snapshot) -> Snapshot:
        """The look with what only the topic tells: times of commits, members' timeouts, since when states last."""
        if self._topic.failure is not None:
            return snapshot
        groups = {group: self._completed(facts) for group, facts in snapshot.groups.items()}
        commits = {group: self._topic.timed(group, found) for group, found in snapshot.commits.items()}
        for group in self._enriched.keys() - groups.keys():
            del self._enriched[group]
        return replace(snapshot, groups=groups, commits=commits)

    def _completed(self, facts: GroupFacts) -> GroupFacts:
        """Facts that are as before stay the same object, so that nobody compares them for nothing."""
        group, version = facts.group, self._topic.version(facts.group)
        known = self._enriched.get(group)
        if known is None or known[1] != version or known[0] != facts:
            known = self._enriched[group] = (facts, version, self._topic.completed(facts))
        return known[2]

    def dressed(self, view: GroupView) -> GroupView:
        """The view with the rebalance that goes on, and the last events."""
        group = view.facts.group
        return replace(
            view, rebalance=self.rebalance(group, view.at_ms), events=tuple(self.events(group)[-MOST_EVENTS:])
        )

    # Answers

    @property
    def _source(self) -> OffsetsTopic | PollReader:
        return self._polled if self._topic.failure is not None else self._topic

    def events(self, group: str) -> list[Event]:
        """What is known of the group's life but for commits, in order of time."""
        return self._source.events(group)

    def account(self, group: str) -> list[Told]:
        """Each rebalance with its causes and what it cost, oldest first."""
        return self._source.account(group)

    def rebalance(self, group: str, now_ms: int) -> RebalanceView | None:
        """The rebalance that goes on."""
        return self._source.rebalance(group, now_ms)

    def version(self, group: str) -> int:
        """A number that is another one whenever there may be news of the group."""
        return self._source.version(group)
