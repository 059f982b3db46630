"""A consumer group (KIP-848): its members, its epochs, who is meant to hold what and who holds it.

Everything recorded is set by `replay` alone, one record at a time; records of one group may come in any order that a
compacted log has them in, so nothing here relies on one record having come before another. What is not recorded is
``topics_version``, which only saves work.

Three epochs: the *group epoch* rises whenever the members, their subscriptions or the topics change; the *assignment
epoch* is the group epoch that the target assignment was made for; a *member epoch* is the last one that the member
reconciled to.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.assignment import EMPTY, Assigned, assigned_from, each
from rota.coordinator.consumer_groups.member import ConsumerMember
from rota.model import ErrorCode, GroupError
from rota.plain import replace
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.coordinator.consumer_groups.topics_seen import SeenTopics
    from rota.coordinator.outcome import LogRecord

__all__ = ["ConsumerGroup", "ConsumerGroupState", "ConsumerGroups"]


class ConsumerGroupState(Enum):
    """What a consumer group is busy with. Not recorded: it follows from the epochs. The values are Kafka's names."""

    EMPTY = "Empty"
    """No members.

    action: accept commits of nobody; expire offsets.
    transition: a member joins -> Assigning; deleted -> Dead.
    """

    ASSIGNING = "Assigning"
    """The target assignment is older than the group.

    action: make a new target assignment at the next heartbeat.
    transition: the target is made -> Reconciling or Stable.
    """

    RECONCILING = "Reconciling"
    """The target assignment is there; not all members hold what it says.

    action: take away and give, member by member, at their heartbeats.
    transition: the last member holds its part -> Stable; members or topics change -> Assigning.
    """

    STABLE = "Stable"
    """Everybody holds what the target says.

    action: keep sessions alive.
    transition: members or topics change -> Assigning; the last member goes -> Empty.
    """

    DEAD = "Dead"
    """The group is gone; also the state that describes a group that never was.

    action: none.
    transition: none.
    """


class ConsumerGroup:
    """One consumer group."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.metadata_hash = 0
        """Of the topics that the group subscribes to; 0 if there are none."""
        self.assignment_epoch = 0
        self.members: dict[str, ConsumerMember] = {}
        self.static_members: dict[str, str] = {}
        """Member id by ``group.instance.id``."""
        self.target: dict[str, Assigned] = {}
        """What each member is meant to hold."""
        self.owners: dict[tuple[bytes, int], str] = {}
        """The member that holds each partition, or was asked to give it up and has not done so."""
        self.regexes: dict[str, frozenset[str]] = {}
        """The topics that each regular expression matches."""

        self.topics_version: int | None = None
        """The version of the topics for which ``metadata_hash`` and ``regexes`` were last looked at."""
        self.seen_topics: SeenTopics | None = None
        """What they were then."""

    # --- what the group is ----------------------------------------------------------------------------------

    @property
    def state(self) -> ConsumerGroupState:
        """See `ConsumerGroupState`; scans the members."""
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.assignment_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(member.is_reconciled_to(self.assignment_epoch) for member in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    def member(self, member_id: str) -> ConsumerMember:
        """The member.

        Raises:
            GroupError: UNKNOWN_MEMBER_ID
        """
        try:
            return self.members[member_id]
        except KeyError:
            raise GroupError(
                ErrorCode.UNKNOWN_MEMBER_ID, f"nobody in group {self.group_id} has the member id {member_id}"
            ) from None

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        """The member that has the instance id."""
        member_id = self.static_members.get(instance_id or "")
        return None if member_id is None else self.members.get(member_id)

    def is_free(self, topic_id: bytes, partition: int) -> bool:
        """Whether nobody holds the partition."""
        return (topic_id, partition) not in self.owners

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """The names a member subscribes to, by name and by regular expression."""
        names = frozenset(member.topics)
        return names | self.regexes.get(member.regex, frozenset()) if member.regex else names

    def subscribed(self, members: Iterable[ConsumerMember] | None = None) -> frozenset[str]:
        """The names that any of the members subscribes to."""
        every = self.members.values() if members is None else members
        return frozenset[str]().union(*map(self.topics_of, every))

    def assignor(self, default: str, members: Iterable[ConsumerMember] | None = None) -> str:
        """The assignor that most members ask for, the first among equals; ``default`` if nobody asks."""
        votes: dict[str, int] = {}
        for member in self.members.values() if members is None else members:
            if member.assignor is not None:
                votes[member.assignor] = votes.get(member.assignor, 0) + 1
        return max(votes, key=votes.__getitem__) if votes else default

    # --- the log --------------------------------------------------------------------------------------------

    def replay(self, record: LogRecord) -> None:
        """Take over one record of this group, except the one that ends it."""
        key, value = record
        match key:
            case ConsumerGroupMetadataKey():
                assert isinstance(value, ConsumerGroupMetadataValue)
                self.epoch, self.metadata_hash = value.epoch, value.metadata_hash
            case ConsumerGroupTargetAssignmentMetadataKey():
                # Without it the target, too, is to be made anew.
                assert value is None or isinstance(value, ConsumerGroupTargetAssignmentMetadataValue)
                self.assignment_epoch = 0 if value is None else value.assignment_epoch
            case ConsumerGroupTargetAssignmentMemberKey():
                assert value is None or isinstance(value, ConsumerGroupTargetAssignmentMemberValue)
                self._replay_target(key.member_id, value)
            case ConsumerGroupMemberMetadataKey():
                assert value is None or isinstance(value, ConsumerGroupMemberMetadataValue)
                self._replay_member(key.member_id, value)
            case ConsumerGroupCurrentMemberAssignmentKey():
                assert value is None or isinstance(value, ConsumerGroupCurrentMemberAssignmentValue)
                self._replay_current(key.member_id, value)
            case ConsumerGroupRegularExpressionKey():
                assert value is None or isinstance(value, ConsumerGroupRegularExpressionValue)
                if value is None:
                    self.regexes.pop(key.regular_expression, None)
                else:
                    self.regexes[key.regular_expression] = frozenset(value.topics)

    def _replay_target(self, member_id: str, value: ConsumerGroupTargetAssignmentMemberValue | None) -> None:
        if value is None:
            self.target.pop(member_id, None)
        else:
            self.target[member_id] = assigned_from(value.topic_partitions)

    def _replay_member(self, member_id: str, value: ConsumerGroupMemberMetadataValue | None) -> None:
        old = self.members.get(member_id)
        if old is not None and self.static_members.get(old.instance_id or "") == member_id:
            del self.static_members[old.instance_id or ""]
        if value is None:
            if old is not None:
                self._release(old)
                del self.members[member_id]
            return
        member = (old or ConsumerMember(member_id)).with_metadata(value)
        self.members[member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member_id

    def _replay_current(
        self, member_id: str, value: ConsumerGroupCurrentMemberAssignmentValue | None
    ) -> None:
        old = self.members.get(member_id)
        if old is not None:
            self._release(old)
        if value is not None:
            member = self.members[member_id] = (old or ConsumerMember(member_id)).with_current(value)
            for held in (member.assigned, member.revoking):
                self.owners.update(dict.fromkeys(each(held), member_id))
        elif old is not None:
            self.members[member_id] = replace(
                old, member_epoch=0, previous_epoch=0, assigned=EMPTY, revoking=EMPTY
            )

    def _release(self, member: ConsumerMember) -> None:
        for held in (member.assigned, member.revoking):
            for partition in each(held):
                # After compaction, another member's record may have come first.
                if self.owners.get(partition) == member.member_id:
                    del self.owners[partition]

    def __repr__(self) -> str:
        state = self.state.value
        return f"ConsumerGroup({self.group_id} {state} epoch={self.epoch} members={len(self.members)})"


class ConsumerGroups(dict[str, ConsumerGroup]):
    """All consumer groups by id."""

    def replay(self, record: LogRecord) -> None:
        """Take over a record; the group comes into being with its first one and goes with its epoch's tombstone."""
        key, value = record
        group_id = record.group
        group = self.get(group_id)
        if group is None:
            if value is None:
                return
            group = self[group_id] = ConsumerGroup(group_id)
        if isinstance(key, ConsumerGroupMetadataKey) and value is None:
            del self[group_id]
        else:
            group.replay(record)
