"""What a member's change means for the group: its epoch, and a new target assignment where one is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.assignment import EMPTY
from rota.coordinator.consumer_groups.reconcile import Target
from rota.coordinator.consumer_groups.records import (
    epoch_record,
    member_record,
    target_epoch_record,
    target_record,
)
from rota.coordinator.consumer_groups.regexes import resolve_regexes
from rota.coordinator.consumer_groups.topics_seen import change_in_words, metadata_hash, see_topics
from rota.plain import Plain
from rota.timeline.events import RebalanceReason, RebalanceStarted

if TYPE_CHECKING:
    from rota.coordinator.consumer_groups.assignment import Assigned
    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.consumer_groups.place import Place
    from rota.coordinator.consumer_groups.topics_seen import SeenTopics
    from rota.coordinator.step import Step

__all__ = ["Change", "next_target"]


class Change(Plain):
    """A member before and after its heartbeat; not recorded yet."""

    group: ConsumerGroup
    member: ConsumerMember
    """As it was; a member in epoch 0 that has nothing, if it is new."""
    updated: ConsumerMember
    replaced: ConsumerMember | None = None
    """Its former self with the same instance id, whose place it takes."""
    because: str = ""
    """What there is to say of a member that is new."""

    def members(self) -> dict[str, ConsumerMember]:
        """Who is in the group once this is recorded."""
        gone = "" if self.replaced is None else self.replaced.member_id
        members = {member_id: each for member_id, each in self.group.members.items() if member_id != gone}
        members[self.updated.member_id] = self.updated
        return members

    def is_free(self, topic_id: bytes, partition: int) -> bool:
        """Whether nobody holds the partition."""
        return self.group.is_free(topic_id, partition)


def next_target(place: Place, change: Change, step: Step) -> Target:
    """What the member is meant to hold, after what had to be written down for it."""
    group, updated = change.group, change.updated
    epoch = _next_epoch(place, change, step)
    if epoch > group.assignment_epoch:
        return Target(epoch, _new_target(place, change, epoch, step))
    known_as = updated.member_id if change.replaced is None else change.replaced.member_id
    return Target(group.assignment_epoch, group.target.get(known_as, EMPTY))


# --- the group epoch ----------------------------------------------------------------------------------------


def _next_epoch(place: Place, change: Change, step: Step) -> int:
    """The group's epoch after the change; raised if subscriptions or topics have changed."""
    group, member, updated = change.group, change.member, change.updated
    is_new = updated.member_id not in group.members and change.replaced is None
    if updated != member or is_new:
        step.records.append(member_record(group.group_id, updated))
    has_changed = (updated.topics, updated.regex) != (member.topics, member.regex)
    if not has_changed and not is_new and group.topics_version == place.topics.version:
        return group.epoch
    members = change.members()
    matched = resolve_regexes(group, members, place.topics, step)
    names = frozenset[str]().union(
        *(frozenset(each.topics) | matched.get(each.regex, frozenset()) for each in members.values())
    )
    seen = see_topics(place.topics, names)
    digest = metadata_hash(seen)
    if not has_changed and not is_new and digest == group.metadata_hash:
        group.topics_version, group.seen_topics = place.topics.version, seen
        return group.epoch
    step.records.append(epoch_record(group.group_id, group.epoch + 1, digest))
    _tell(change, seen, is_new=is_new, has_changed=has_changed, step=step)
    return group.epoch + 1


def _tell(change: Change, seen: SeenTopics, *, is_new: bool, has_changed: bool, step: Step) -> None:
    group, updated = change.group, change.updated
    member_id = updated.member_id
    if is_new:
        reason, detail = RebalanceReason.MEMBER_JOINED, change.because
    elif has_changed:
        reason, detail = RebalanceReason.SUBSCRIPTION_CHANGED, _subscription_change(change)
    else:
        reason, detail = RebalanceReason.PARTITIONS_ADDED, change_in_words(group.seen_topics, seen)
        if change.replaced is not None and not group.metadata_hash:  # upgraded in the middle of a rebalance
            reason = RebalanceReason.STATIC_MEMBER_REPLACED
        else:
            member_id = ""
    step.events.append(RebalanceStarted(step.now_ms, group.group_id, group.epoch, reason, member_id, detail))


def _subscription_change(change: Change) -> str:
    before, after = set(change.member.topics), set(change.updated.topics)
    words = [f"+{name}" for name in sorted(after - before)] + [f"-{name}" for name in sorted(before - after)]
    if change.member.regex != change.updated.regex:
        words.append(f"regex {change.updated.regex!r}" if change.updated.regex else "no regex")
    return " ".join(words)


# --- the target assignment ----------------------------------------------------------------------------------


def _new_target(place: Place, change: Change, epoch: int, step: Step) -> Assigned:
    """Share out the partitions anew; what is different from before is recorded."""
    from rota.coordinator.assignors.server_side import SERVER_ASSIGNORS, ServerMember

    group, members = change.group, change.members()
    matched = resolve_regexes(group, members, place.topics, None)
    before = dict(group.target)
    if change.replaced is not None:
        # Its new self has been recorded with the same part already.
        before[change.updated.member_id] = before.pop(change.replaced.member_id, EMPTY)
    counts: dict[bytes, int] = {}
    asking: dict[str, ServerMember] = {}
    for member_id, member in members.items():
        names = frozenset(member.topics) | matched.get(member.regex, frozenset())
        topics = dict(see_topics(place.topics, names).values())
        counts |= topics
        asking[member_id] = ServerMember(frozenset(topics), before.get(member_id, EMPTY), member.instance_id)
    assignor = group.assignor(place.config.consumer_assignors[0], members.values())
    if assignor not in SERVER_ASSIGNORS:
        # One that an earlier broker had, and its members have not heard of it yet.
        assignor = place.config.consumer_assignors[0]
    shares = SERVER_ASSIGNORS[assignor](asking, counts)
    for member_id in members:
        if member_id not in before or before[member_id] != shares[member_id]:
            step.records.append(target_record(group.group_id, member_id, shares[member_id]))
    step.records.append(target_epoch_record(group.group_id, epoch))
    return shares[change.updated.member_id]
