"""The fallback where ``__consumer_offsets`` may not be read: lives of groups from looks at them, one after the other.

It answers as `LogReader` does, and knows less: nothing from before the first look, nothing that came and went between
two looks, no timeouts. How a member went is a guess unless it committed until it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from rota.model import TopicPartition
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.ends import Ends
from rota.monitor.rebalances.gone import Gone, Versions
from rota.monitor.rebalances.live import under_way
from rota.monitor.rebalances.members import Member
from rota.monitor.rebalances.polls import differences
from rota.monitor.rebalances.story import Story
from rota.monitor.rebalances.told import Told, tell
from rota.monitor.rebalances.verdicts import Verdict
from rota.timeline.events import (
    Event,
    MemberJoined,
    MemberLeft,
    MemberReconciled,
    RebalanceCompleted,
    RebalanceReason,
    RebalanceStarted,
)

if TYPE_CHECKING:
    from rota.monitor.facts import Commit, GroupFacts, MemberFacts
    from rota.monitor.rebalances.departures import Departure
    from rota.monitor.rebalances.steps import Step
    from rota.monitor.view import RebalanceView

__all__ = ["PollReader"]

LATE_MS: Final = 60_000
"""So late answers may be that were overtaken by others; where it is more, a clock was set back."""


class PollReader:
    """Takes looks in, and answers what became of each group. Times are those of whoever looks."""

    def __init__(self) -> None:
        self._groups: dict[str, _Polled] = {}
        self._ends = Ends()
        self._gone = Gone()
        self._versions = Versions()

    def look(
        self, facts: GroupFacts, commits: Mapping[TopicPartition, Commit], at_ms: int, took_ms: int = 0
    ) -> list[Event]:
        """What the group answered to a look that ended then and took so long, and what it has committed; what is new
        since the last look. An answer that may be older than the one before tells nothing.
        """
        polled = self._groups.get(facts.group)
        if polled is None:
            polled = self._groups[facts.group] = _Polled(facts.group)
        self._gone.back(facts.group)
        try:
            return polled.look(facts, commits, at_ms, took_ms)
        finally:
            self._versions.put(facts.group, polled.story.version)

    def gone(self, group: str) -> None:
        """It is not there any more. What is known of it is forgotten when enough others are gone too."""
        if group in self._groups:
            for name in self._gone.mark(group):
                del self._groups[name]
                self._versions.put(name, None)

    def look_at_ends(self, ends: Mapping[TopicPartition, int], at_ms: int) -> None:
        """See `LogReader.look_at_ends`."""
        self._ends.look(ends, at_ms)

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that was looked at."""
        return tuple(self._groups)

    def events(self, group: str) -> list[Event]:
        """What was seen of the group, in order of time."""
        polled = self._groups.get(group)
        return [] if polled is None else polled.story.events()

    def account(self, group: str) -> list[Told]:
        """Each rebalance that was seen, oldest first."""
        polled = self._groups.get(group)
        return [] if polled is None else tell(polled.story, self._ends)

    def rebalance(self, group: str, now_ms: int) -> RebalanceView | None:
        """The rebalance that goes on."""
        polled = self._groups.get(group)
        return None if polled is None else under_way(polled.story, None, now_ms)

    def version(self, group: str) -> int:
        """A number that is another one whenever there may be news of the group."""
        polled = self._groups.get(group)
        return 0 if polled is None else polled.story.version

    def versions(self) -> dict[str, int]:
        """The same of all groups; the same dictionary until there is news."""
        return self._versions.all()


class _Polled:
    """One group."""

    def __init__(self, group: str) -> None:
        self.story = Story(group)
        self._before: GroupFacts | None = None
        self._at_ms = 0

    def look(
        self, facts: GroupFacts, commits: Mapping[TopicPartition, Commit], at_ms: int, took_ms: int
    ) -> list[Event]:
        story, before = self.story, self._before
        story.kind = story.kind or "polled"
        for partition, commit in commits.items():
            known = story.commits.get(partition)
            if known is None or known[1] != commit.offset:
                story.committed(partition, commit.offset, at_ms)
        if before is not None and at_ms - took_ms < self._at_ms <= at_ms + LATE_MS:
            return []
        self._before, since_ms, self._at_ms = facts, min(self._at_ms, at_ms), at_ms
        if before is None:
            for each in facts.members:
                member = _member(each)
                story.join(member, at_ms)
                self._give(member, each.assignment)
                story.beginning.append(MemberReconciled(at_ms, story.group, 0, member.member_id, member.held))
            story.protocol = facts.assignor or None
            return []
        found = differences(before, facts, (), story.generation, since_ms, at_ms)
        self._write(found, facts, since_ms, at_ms)
        return found

    def _write(self, found: list[Event], facts: GroupFacts, since_ms: int, at_ms: int) -> None:
        story = self.story
        new = {each.member_id: each for each in facts.members}
        emptied = bool(story.members) and not new and story.open is None
        is_begun = emptied or any(isinstance(event, RebalanceStarted) for event in found)
        step = story.begin(since_ms, since_ms + 1, story.generation) if is_begun else story.open
        if step is not None:
            step.seen = True
        causes: list[Verdict | Departure] = []
        for event in found:
            if isinstance(event, MemberLeft):
                self._left(event, new, step, causes, since_ms, at_ms)
            elif isinstance(event, MemberJoined) and event.member not in story.members:
                member = _member(new[event.member])
                joined = story.join(member, event.at_ms)
                member.joined_ms = event.at_ms
                causes.append(story.arrived(member))
                if step is not None:
                    step.joined.append(joined)
        if step is not None:
            step.causes += causes
            if is_begun and not step.causes:
                step.causes.append(_rejoined())
        done = next((event for event in found if isinstance(event, RebalanceCompleted)), None)
        if done is not None:
            self._completed(done, facts)
        elif not new and story.open is not None:
            self._completed(
                RebalanceCompleted(at_ms, facts.group, story.generation + 1, None, None, {}), facts
            )

    def _left(
        self,
        event: MemberLeft,
        new: Mapping[str, MemberFacts],
        step: Step | None,
        causes: list[Verdict | Departure],
        since_ms: int,
        at_ms: int,
    ) -> None:
        story = self.story
        member = story.members.get(event.member)
        if member is None:
            return
        if event.reason == RebalanceReason.STATIC_MEMBER_REPLACED:
            words = f"{member.instance_id} (group.instance.id) has a new member id"
            gone = Verdict(event.reason, member.member_id, Certainty.CERTAIN, words)
            held = member.held
            story.remove(member)
            successor = next(each for each in new.values() if each.instance_id == member.instance_id)
            joined = story.join(_member(successor), since_ms)
            if step is None:
                story.restarted(gone, joined, since_ms, held)
                self._give(story.members[successor.member_id], successor.assignment)
            else:
                step.left.append((since_ms, gone))
                step.joined.append(joined)
                causes.append(gone)
            return
        departure = story.depart(member, since_ms, at_ms, session_ms=None)
        story.remove(member)
        causes.append(departure)
        if step is not None:
            step.left.append((since_ms, departure))

    def _completed(self, done: RebalanceCompleted, facts: GroupFacts) -> None:
        story = self.story
        step = story.open
        if step is None:  # it began before the first look
            step = story.begin(done.at_ms, done.at_ms, story.generation)
        if [each.reason for each in step.verdicts] == [RebalanceReason.MEMBER_REJOINED]:
            step.causes = [self._other_cause(facts)]
        shared = {each.member_id: tuple(sorted(each.assignment)) for each in facts.members}
        for each in facts.members:
            member = story.members.get(each.member_id)
            if member is not None:
                self._give(member, each.assignment)
                member.topics = each.subscription if each.subscription is not None else member.topics
        at_ms = max(done.at_ms, step.started_ms)
        step.completed = RebalanceCompleted(at_ms, story.group, done.generation, done.protocol, None, shared)
        story.generation, story.protocol = done.generation, done.protocol
        story.open, story.recorded_ms = None, at_ms
        story.version += 1

    def _give(self, member: Member, assignment: tuple[TopicPartition, ...]) -> None:
        self.story.hold(member, tuple(sorted(assignment)))
        for tp in assignment:
            self.story.topic_ends[tp.topic] = max(self.story.topic_ends.get(tp.topic, -1), tp.partition)

    def _other_cause(self, facts: GroupFacts) -> Verdict:
        """Nobody came or went: whether somebody's subscription or a topic has changed."""
        story = self.story
        for each in facts.members:
            known = story.members.get(each.member_id)
            if (
                known is not None
                and None not in (known.topics, each.subscription)
                and known.topics != each.subscription
            ):
                reason = RebalanceReason.SUBSCRIPTION_CHANGED
                return Verdict(
                    reason, each.member_id, Certainty.CERTAIN, "it subscribes to other topics than before"
                )
        ends = story.topic_ends
        held = {tp for each in facts.members for tp in each.assignment}
        grown = sorted({tp.topic for tp in held if tp.topic in ends and tp.partition > ends[tp.topic]})
        if grown:
            words = ", ".join(f"{topic} has more partitions than before" for topic in grown)
            return Verdict(RebalanceReason.PARTITIONS_ADDED, "", Certainty.CERTAIN, words)
        return _rejoined()


def _rejoined() -> Verdict:
    words = "nobody came or went that was seen by asking"
    return Verdict(RebalanceReason.MEMBER_REJOINED, "", Certainty.GUESS, words)


def _member(seen: MemberFacts) -> Member:
    return Member(
        seen.member_id,
        seen.client_id,
        seen.host,
        seen.instance_id,
        seen.session_timeout_ms,
        seen.rebalance_timeout_ms,
        seen.subscription,
        seen.regex,
    )
