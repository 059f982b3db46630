"""Consumer groups (KIP-848): a record for every change of every member, so that little has to be worked out.

The record of the group's epoch is written in one batch with those of what raised it, behind them: what has the same
timestamp is the cause. A member that goes leaves tombstones, whichever way it went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from rota.model import TopicPartition
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.departures import judge
from rota.monitor.rebalances.members import Member
from rota.monitor.rebalances.verdicts import Verdict
from rota.timeline.events import MemberReconciled, RebalanceCompleted, RebalanceReason
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMetadataKey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rota.monitor.rebalances.departures import Departure
    from rota.monitor.rebalances.steps import Step
    from rota.monitor.rebalances.story import Story
    from rota.timeline.events import Event, MemberJoined

__all__ = ["HEARTBEAT_MS", "SESSION_MS", "Modern"]

SESSION_MS: Final = 45_000
HEARTBEAT_MS: Final = 5_000
"""``group.consumer.session.timeout.ms`` and ``group.consumer.heartbeat.interval.ms`` unless they are set."""
_UNREVOKED: Final = 1
_AWAY: Final = -2


class Modern:
    """One consumer group; what is found is written into its story. ``name_of`` gives a topic's name by its id."""

    def __init__(self, story: Story, name_of: Callable[[bytes], str]) -> None:
        self.story = story
        self.session_ms, self.heartbeat_ms = SESSION_MS, HEARTBEAT_MS
        self.target_epoch = 0
        self._name_of = name_of
        self._hash: int | None = None
        self._counts: dict[str, int] = {}
        self._regexes: dict[str, frozenset[str]] = {}
        self._changes: list[tuple[int, Verdict]] = []
        """What was written since the group's last epoch, and when."""
        self._arrivals: list[MemberJoined] = []
        self._gone: dict[str, tuple[int, Member]] = {}
        """Members whose tombstones were written; a static one's place may be taken at once."""

    def apply(self, key: Any, value: Any, at_ms: int) -> list[Event]:
        """One record; what it tells."""
        if self.story.kind != "consumer":
            self._adopt(at_ms)
        found = self._READERS[type(key)](self, key, value, at_ms)
        self.story.recorded_ms = at_ms
        self.story.version += 1
        return found

    def _adopt(self, at_ms: int) -> None:
        """It was no consumer group until now."""
        story = self.story
        if story.kind == "classic":
            story.former = dict(story.members)
            for member in list(story.members.values()):
                story.remove(member)
        story.kind, story.open, story.state_since_ms = "consumer", None, at_ms

    # Members

    def _member(self, key: ConsumerGroupMemberMetadataKey, value: Any, at_ms: int) -> list[Event]:
        known = self.story.members.get(key.member_id)
        if value is None:
            if known is not None:
                self._gone[known.member_id] = (at_ms, known)
            return []
        member = _read(key.member_id, value)
        if known is None:
            return self._joined(member, at_ms)
        self._compare(known, member, at_ms)
        for name in _METADATA:
            setattr(known, name, getattr(member, name))
        return []

    def _joined(self, member: Member, at_ms: int) -> list[Event]:
        story = self.story
        member.joined_ms = at_ms
        former = self._former(member)
        if former is not None:
            del self._gone[former.member_id]
            member.signs, held = former.signs, former.held
            story.remove(former)
            event = story.join(member, at_ms)
            story.hold(member, held)
            words = f"{member.instance_id} (group.instance.id) has a new member id"
            reason = RebalanceReason.STATIC_MEMBER_REPLACED
            gone = Verdict(reason, former.member_id, Certainty.CERTAIN, words)
            return story.restarted(gone, event, at_ms, held).events()
        event = story.join(member, at_ms)
        if story.former.pop(member.member_id, None) is None:  # not of the classic group that this was
            self._changes.append((at_ms, story.arrived(member)))
            self._arrivals.append(event)
        return []

    def _former(self, member: Member) -> Member | None:
        if member.instance_id is None:
            return None
        return next((each for _, each in self._gone.values() if each.instance_id == member.instance_id), None)

    def _compare(self, known: Member, member: Member, at_ms: int) -> None:
        words = []
        if known.topics != member.topics:
            words.append(_difference(known.topics or frozenset(), member.topics or frozenset()))
        if known.regex != member.regex:
            words.append(f"pattern {member.regex!r}" if member.regex else "no pattern any more")
        if known.assignor != member.assignor:
            words.append(f"assignor {member.assignor or 'of the group'}")
        if words:
            reason = RebalanceReason.SUBSCRIPTION_CHANGED
            verdict = Verdict(reason, known.member_id, Certainty.CERTAIN, ", ".join(words))
            self._changes.append((at_ms, verdict))

    # The group

    def _epoch(self, _key: ConsumerGroupMetadataKey, value: Any, at_ms: int) -> list[Event]:
        story = self.story
        if value is None:
            self._forget()
            return []
        before, known = story.generation, story.known
        if value.epoch <= before and known:
            self._hash = value.metadata_hash
            return []
        hash_changed = self._hash is not None and value.metadata_hash != self._hash
        self._hash = value.metadata_hash
        opened = story.open is None
        step = story.begin(at_ms, at_ms, before)
        step.seen = True
        departures = self._departures(step, at_ms)
        causes: list[Verdict | Departure] = [*departures]
        causes += [verdict for when, verdict in self._changes if when == at_ms]
        arrivals, self._arrivals, self._changes = self._arrivals, [], []
        if not causes and known:
            causes = [_unexplained(hash_changed, value.epoch - before)]
        step.causes += causes
        step.joined += arrivals
        step.skipped = max(value.epoch - before - 1, 0) if known and opened else step.skipped
        story.generation, story.known, story.state_since_ms = value.epoch, True, at_ms
        if not story.members:
            self._complete(at_ms)
        return [
            *arrivals,
            *(event for event in step.events() if event.at_ms >= at_ms and event not in arrivals),
        ]

    def _departures(self, step: Step, at_ms: int) -> list[Departure]:
        story, found = self.story, []
        for _, member in self._gone.values():
            departure = story.depart(
                member, at_ms, at_ms, heartbeat_ms=self.heartbeat_ms, session_ms=self.session_ms
            )
            silent = judge(departure).reason in _SILENT and departure.signs_ms
            since_ms = departure.signs_ms[-1] if silent else at_ms
            story.free.update(dict.fromkeys(member.held, since_ms))
            story.remove(member)
            step.left.append((at_ms, departure))
            found.append(departure)
        self._gone.clear()
        story.mark_quiet(found)
        return found

    def _forget(self) -> None:
        story = self.story
        story.former = dict(story.members) | {member_id: each for member_id, (_, each) in self._gone.items()}
        for member in list(story.members.values()):
            story.remove(member)
        self._gone.clear()
        self._changes, self._arrivals = [], []
        story.kind, story.generation, story.open, self.target_epoch, self._hash = "", 0, None, 0, None

    def _topics(self, _key: ConsumerGroupPartitionMetadataKey, value: Any, at_ms: int) -> list[Event]:
        """What the group knows of its topics, which brokers of Kafka 4.0 write."""
        counts = {} if value is None else {each.topic_name: each.num_partitions for each in value.topics}
        if self._counts:
            words = [
                f"{topic}: {self._counts[topic]} → {counts[topic]} partitions"
                for topic in sorted(counts)
                if topic in self._counts and counts[topic] != self._counts[topic]
            ]
            words += [f"{topic} is there now" for topic in sorted(counts.keys() - self._counts.keys())]
            words += [f"{topic} is gone" for topic in sorted(self._counts.keys() - counts.keys())]
            if words and value is not None:
                self._tell_topics(", ".join(words), at_ms)
        self._counts = counts
        return []

    def _pattern(self, key: ConsumerGroupRegularExpressionKey, value: Any, at_ms: int) -> list[Event]:
        before = self._regexes.pop(key.regular_expression, None)
        if value is not None:
            self._regexes[key.regular_expression] = topics = frozenset(value.topics)
            if before is not None and before != topics:
                self._tell_topics(f"{key.regular_expression} matches {_difference(before, topics)}", at_ms)
        return []

    def _tell_topics(self, words: str, at_ms: int) -> None:
        verdict = Verdict(RebalanceReason.PARTITIONS_ADDED, "", Certainty.CERTAIN, words)
        self._changes.append((at_ms, verdict))

    # Assignments

    def _target_epoch(
        self, _key: ConsumerGroupTargetAssignmentMetadataKey, value: Any, _at_ms: int
    ) -> list[Event]:
        self.target_epoch = 0 if value is None else value.assignment_epoch
        return []

    def _target(self, key: ConsumerGroupTargetAssignmentMemberKey, value: Any, _at_ms: int) -> list[Event]:
        member = self.story.members.get(key.member_id)
        if member is not None and value is not None:
            member.target = self._named(value.topic_partitions)
            self._maybe_name_partitions(member.target)
        return []

    def _maybe_name_partitions(self, target: Iterable[TopicPartition]) -> None:
        """Whether somebody is to have partitions beyond those that there were: that is what had changed."""
        step, ends = self.story.open, self.story.topic_ends
        if step is None or not step.causes:
            return
        last = step.causes[-1]
        if (
            not isinstance(last, Verdict)
            or last.reason != RebalanceReason.PARTITIONS_ADDED
            or not last.doubts
        ):
            return
        grown = sorted({tp.topic for tp in target if tp.topic in ends and tp.partition > ends[tp.topic]})
        if grown:
            words = ", ".join(f"{topic} has more partitions than before" for topic in grown)
            step.causes[-1] = Verdict(last.reason, "", Certainty.CERTAIN, words)

    def _current(self, key: ConsumerGroupCurrentMemberAssignmentKey, value: Any, at_ms: int) -> list[Event]:
        story = self.story
        member = story.members.get(key.member_id)
        if value is None or member is None:
            return []
        member.epoch, member.state = value.member_epoch, value.state
        if value.state != _UNREVOKED:
            member.revoking_since_ms = None
        elif member.revoking_since_ms is None:
            member.revoking_since_ms = at_ms
        held = self._named([*value.assigned_partitions, *value.partitions_pending_revocation])
        found: list[Event] = []
        if set(held) != set(member.held):
            found.append(self._reconciled(member, held, at_ms))
        if self._is_complete():
            assert story.open is not None
            found.append(self._complete(at_ms))
        return found

    def _reconciled(self, member: Member, held: tuple[TopicPartition, ...], at_ms: int) -> Event:
        story = self.story
        story.free.update(dict.fromkeys(set(member.held) - set(held), at_ms))
        story.hold(member, held)
        for tp in held:
            story.free.pop(tp, None)
            story.topic_ends[tp.topic] = max(story.topic_ends.get(tp.topic, -1), tp.partition)
        epoch = story.generation if member.epoch < 0 else member.epoch
        event = MemberReconciled(at_ms, story.group, epoch, member.member_id, held)
        if story.steps:
            story.steps[-1].held.append(event)
        return event

    def _is_complete(self) -> bool:
        story = self.story
        return (
            story.open is not None
            and self.target_epoch == story.generation
            and all(
                each.epoch == _AWAY or (each.epoch == self.target_epoch and each.state == 0)
                for each in story.members.values()
            )
        )

    def _complete(self, at_ms: int) -> Event:
        story = self.story
        assert story.open is not None
        assignors = [each.assignor for each in story.members.values() if each.assignor]
        story.protocol = max(assignors, key=assignors.count, default=story.protocol)
        shared = {each.member_id: each.held for each in story.members.values()}
        at_ms = max(at_ms, story.open.started_ms)
        event = RebalanceCompleted(at_ms, story.group, story.generation, story.protocol, None, shared)
        story.open.completed, story.open = event, None
        story.state_since_ms = at_ms
        story.free.clear()
        return event

    def waiting_for(self) -> list[str]:
        """The ids of those who have not reached the target yet."""
        return [
            each.member_id
            for each in self.story.members.values()
            if each.epoch != _AWAY and (each.epoch != self.story.generation or each.state == _UNREVOKED)
        ]

    def _named(self, topics: Iterable[Any]) -> tuple[TopicPartition, ...]:
        found = {
            TopicPartition(self._name_of(each.topic_id), number)
            for each in topics
            for number in each.partitions
        }
        return tuple(sorted(found))

    _READERS: ClassVar[Mapping[type, Callable[[Modern, Any, Any, int], list[Event]]]] = {
        ConsumerGroupMemberMetadataKey: _member,
        ConsumerGroupMetadataKey: _epoch,
        ConsumerGroupPartitionMetadataKey: _topics,
        ConsumerGroupRegularExpressionKey: _pattern,
        ConsumerGroupTargetAssignmentMetadataKey: _target_epoch,
        ConsumerGroupTargetAssignmentMemberKey: _target,
        ConsumerGroupCurrentMemberAssignmentKey: _current,
    }


_SILENT: Final = frozenset({RebalanceReason.SESSION_EXPIRED, RebalanceReason.POLL_INTERVAL_EXCEEDED})
_METADATA: Final = (
    "client_id",
    "host",
    "poll_ms",
    "session_ms",
    "topics",
    "regex",
    "assignor",
    "protocols",
)


def _read(member_id: str, value: Any) -> Member:
    classic = value.classic_member_metadata
    return Member(
        member_id,
        value.client_id,
        value.client_host,
        value.instance_id,
        None if classic is None else classic.session_timeout_ms,
        value.rebalance_timeout_ms if value.rebalance_timeout_ms > 0 else None,
        frozenset(value.subscribed_topic_names),
        value.subscribed_topic_regex or None,
        assignor=value.server_assignor or None,
        protocols=() if classic is None else tuple(each.name for each in classic.supported_protocols),
    )


def _unexplained(hash_changed: bool, steps: int) -> Verdict:
    """Nobody came, went or wants something else."""
    if steps > 1:
        return Verdict(
            RebalanceReason.MEMBER_REJOINED, "", Certainty.GUESS, "what led to it is not recorded any more"
        )
    if hash_changed:
        return Verdict(
            RebalanceReason.PARTITIONS_ADDED,
            "",
            Certainty.LIKELY,
            "what the group knows of its topics has changed",
            "a topic may have come or gone, or replicas may be in other racks",
        )
    return Verdict(
        RebalanceReason.OPERATOR,
        "",
        Certainty.GUESS,
        "nobody came or went, and nobody's subscription and none of the topics changed",
    )


def _difference(before: frozenset[str], after: frozenset[str]) -> str:
    words = [f"+{name}" for name in sorted(after - before)] + [f"-{name}" for name in sorted(before - after)]
    return " ".join(words)
