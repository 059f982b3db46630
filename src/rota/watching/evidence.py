"""Gathering what a doctor may look at: looks, what groups recorded, and what lies around them.

Every question may be refused (a managed cluster, a user without rights, an old broker). Then that piece of evidence is
missing, the reason is kept in words, and the rules that need it are not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from rota.admin.scan import Depth
from rota.model import RotaError
from rota.monitor.doctor import CommitStep, Diagnosis, Evidence, Need, diagnose
from rota.monitor.facts import GroupFacts
from rota.monitor.level import DEFAULT, Thresholds
from rota.monitor.rebalances.polled import PollReader
from rota.monitor.view import GroupView, Totals
from rota.watching.around import Around
from rota.watching.kept import KeptLooks
from rota.watching.looking import Looking, Seen

if TYPE_CHECKING:
    from rota.admin import Admin
    from rota.monitor.facts import Snapshot
    from rota.watching.offsets_topic import OffsetsTopic

__all__ = ["Checkup"]


class Checkup:
    """Looks at groups again and again, and makes evidence of what was seen. Not for several threads.

    ``groups``: names, or None for all. ``topic``: a reader of `__consumer_offsets`, or why there is none. ``window_s``
    is how far back looks count; ``connection`` the options that command lines need to reach the cluster.
    """

    def __init__(
        self,
        admin: Admin,
        *,
        groups: Collection[str] | Callable[[], Collection[str] | None] | None = None,
        topic: OffsetsTopic | str,
        window_s: float = 600.0,
        thresholds: Thresholds = DEFAULT,
        connection: tuple[str, ...] | None = None,
    ) -> None:
        self._topic = topic
        self._connection = connection or ("--bootstrap-server", admin.bootstrap)
        self._looking = Looking(
            admin, groups=groups, window_s=window_s, depth=Depth.SETTINGS, thresholds=thresholds
        )
        self._around = Around(admin)
        self._polls = PollReader()
        self._looks = KeptLooks(round(window_s * 1000))
        self._seen = Seen()
        self._away: RotaError | None = None
        """Why the last look found nothing at all."""

    def look(self) -> Seen:
        """One more look; whatever fails is in what it returns."""
        seen = self._looking.look()
        self._away = seen.failure if seen.snapshot is self._seen.snapshot else None
        if seen.snapshot is not None and seen.snapshot is not self._seen.snapshot:
            self._looks.add(seen.snapshot)
            self._tell(seen.snapshot)
            for name in self._seen.views.keys() - seen.views.keys():
                self._polls.gone(name)
        self._seen = seen
        return seen

    @property
    def failure(self) -> RotaError | None:
        """Why the last look did not see everything. What failed for one group is in that group's evidence."""
        seen = self._seen
        if self._away is not None or seen.snapshot is None:
            return self._away
        failures = seen.snapshot.failures
        if "" in failures:
            return failures[""]
        return None if any(seen.failure is each for each in failures.values()) else seen.failure

    @property
    def is_away(self) -> bool:
        """Whether the last look found nothing at all."""
        return self._away is not None

    @property
    def is_calm(self) -> bool:
        """Whether a longer look would show no more: nobody is behind, and nothing changes hands."""
        return self._seen.failure is None and all(
            not view.facts.is_rebalancing
            and all(not part.lag or part.member is None for part in view.partitions)
            for view in self._seen.views.values()
        )

    def evidence(self) -> dict[str, Evidence]:
        """What is known of each group that the last look named, by its name; it asks the cluster for the rest."""
        if not self._looks:
            return {}
        newest = self._looks.newest
        views = {name: self._view(name) for name in newest.groups if name in self._seen.views}
        self._around.prepare(newest, views)
        found = {name: self._evidence(view) for name, view in views.items()}
        failures = {name: failure for name, failure in newest.failures.items() if name}
        if "" in newest.failures:  # who was there before may be there still
            others = self._seen.views.keys() - newest.groups.keys() - failures.keys()
            failures |= dict.fromkeys(others, newest.failures[""])
        return found | {name: self._refused(name, failure) for name, failure in failures.items()}

    def diagnoses(self) -> dict[str, Diagnosis]:
        """What the doctor says of each group."""
        return {name: diagnose(evidence) for name, evidence in self.evidence().items()}

    def _tell(self, snapshot: Snapshot) -> None:
        """Looks are evidence for why a group rebalanced; where nothing else can be read, the only one."""
        for name, facts in snapshot.groups.items():
            if isinstance(self._topic, str) or self._topic.failure is not None:
                self._polls.look(facts, snapshot.commits[name], snapshot.at_ms)
            else:
                self._topic.look(facts, snapshot.at_ms, round(snapshot.took_ms))

    # One group

    def _view(self, name: str) -> GroupView:
        view = self._seen.views[name]
        if isinstance(self._topic, str) or not self._topic.knows(name):
            return view
        return replace(view, rebalance=self._topic.rebalance(name, view.at_ms))

    def _evidence(self, view: GroupView) -> Evidence:
        name, around = view.facts.group, self._around
        looks = tuple(look for look in self._looks if name in look.groups)
        evidence = Evidence(
            view=view,
            looks=looks,
            connection=self._connection,
            nodes=around.nodes,
            offsets_topic=around.offsets_topic,
            broker_configs=around.broker_configs(view.facts.coordinator),
            group_configs=around.group_configs.get(name),
            transactions=around.transactions_of(view),
            records=around.records_of(view, looks),
            missing=dict(around.missing),
            unseen=self._unseen(view),
        )
        return self._with_history(evidence)

    def _unseen(self, view: GroupView) -> str | None:
        """What the last look did not see of a group. A partition that nobody leads is seen: that it has no end."""
        if self._away is not None:
            return "the last look failed"
        topics = self._looks.newest.topics
        endless = [
            part.partition
            for part in view.partitions
            if part.end is None and not part.leaderless and part.partition.topic in topics
        ]
        if not endless:
            return None
        more = f" and of {len(endless) - 1:,} more partitions" if len(endless) > 1 else ""
        return f"nobody could say where {endless[0]} ends{more}"

    def _with_history(self, evidence: Evidence) -> Evidence:
        """What the group recorded, or why nobody could read it."""
        name, topic = evidence.group, self._topic
        why = topic if isinstance(topic, str) else _unread(topic)
        if why is not None or isinstance(topic, str):
            return self._with_polls(evidence, why or "")
        steps = topic.commit_steps(name)
        return replace(
            evidence,
            events=tuple(topic.events(name)),
            commits={part: tuple(CommitStep(*step) for step in each) for part, each in steps.items()},
            recorded=topic.completed(evidence.facts) if topic.knows(name) else None,
        )

    def _with_polls(self, evidence: Evidence, why: str) -> Evidence:
        """What looks have shown: nothing from before the first of them."""
        lacking = {Need.OFFSETS_TOPIC: why}
        if len(evidence.looks) < 2:
            return replace(evidence, missing={**evidence.missing, **lacking, Need.EVENTS: why})
        return replace(
            evidence,
            events=tuple(self._polls.events(evidence.group)),
            events_since_ms=evidence.looks[0].at_ms,
            events_source="differences between looks",
            missing={**evidence.missing, **lacking},
        )

    def _refused(self, name: str, failure: RotaError) -> Evidence:
        """A group that could not be described."""
        facts = GroupFacts(name, "", "Unknown")
        view = GroupView(self._looks.newest.at_ms, facts, (), (), {}, Totals(0, 0))
        evidence = Evidence(
            view,
            connection=self._connection,
            nodes=self._around.nodes,
            offsets_topic=self._around.offsets_topic,
            failure=str(failure),
            failure_code=getattr(failure, "code", None),
            missing=dict(self._around.missing),
        )
        return self._with_history(evidence)


def _unread(topic: OffsetsTopic) -> str | None:
    """Why the topic says nothing (yet); None where it was read to its end."""
    if topic.failure is not None:
        return str(topic.failure)
    if not topic.is_caught_up:
        return f"__consumer_offsets is not read to its end yet ({topic.progress.records:,} records so far)"
    return None
