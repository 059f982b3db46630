"""A classic group: its members, its generation and the rebalance in progress.

Two kinds of state live here side by side. *Recorded* state is what ``__consumer_offsets`` says about the
group: that it exists, its last complete generation, every member's assignment; `Group.load` alone sets it,
from a record. *Soft* state is the making of the next generation: who has joined the barrier, who has yet to
fetch its assignment, deadlines and the tokens of parked requests; it is lost with the broker, and clients
cope by joining again. A generation's number is soft until the leader's assignment is recorded.

Nothing here scans the members except where a whole generation begins or ends: joins, heartbeats and syncs are
counted (`awaiting_join`, `supported`, `pending_sync`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.members import Member
from rota.coordinator.states import TRANSITIONS, GroupState
from rota.coordinator.subscriptions import subscribed_topics
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.coordinator.members import Protocols
    from rota.wire.messages.group_log import GroupMetadataValue

__all__ = ["CONSUMER_PROTOCOL", "Group"]

CONSUMER_PROTOCOL = "consumer"
"""The protocol type of Kafka's consumers; Connect and others use their own."""

_EMPTY = GroupState.EMPTY
_PREPARING = GroupState.PREPARING_REBALANCE
_COMPLETING = GroupState.COMPLETING_REBALANCE
_STABLE = GroupState.STABLE


class Group:
    """One classic group."""

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = _EMPTY
        self.previous_state = GroupState.DEAD
        self.state_since_ms = now_ms
        """When the group entered its state; -1 if the record that told of it is too old to say."""
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        """Member id by ``group.instance.id`` (KIP-345)."""
        self.subscribed: frozenset[str] | None = None
        """The topics that members of the generation subscribe to, or None if that is not known."""

        self.pending_joins: dict[str, int] = {}
        """Member ids given out but not used yet (KIP-394), with the deadline for using them."""
        self.pending_sync: set[str] = set()
        self.awaiting_join = 0
        """How many members have a JoinGroup parked."""
        self.supported: dict[str, int] = {}
        """How many members support each protocol."""
        self.newcomers = False
        """Whether somebody joined since the initial rebalance delay was last extended."""
        self.initial_delay: tuple[int, int] | None = None
        """While the initial delay runs: its current length and how much longer it may become, in ms."""
        self.join_deadline_ms: int | None = None
        self.sync_deadline_ms: int | None = None
        self.replacements: dict[str, Member] = {}
        """Static members about to take their predecessor's place, as soon as that is recorded."""
        self.changed_topics: set[str] = set()
        """Subscribed topics whose partitions changed since the generation began."""
        self.silent_leavers: dict[tuple[str, str], int] = {}
        """When a client (id, host) last left without saying why; explains a rebalance if it comes back."""

    # --- what the group is ----------------------------------------------------------------------------------

    @property
    def uses_consumer_protocol(self) -> bool:
        """Whether the members are Kafka consumers, whose subscriptions the coordinator can read."""
        return self.protocol_type == CONSUMER_PROTOCOL

    @property
    def has_all_joined(self) -> bool:
        """Whether nobody is missing at the barrier."""
        return self.awaiting_join == len(self.members) and not self.pending_joins

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member may take to join again; scans the members, once a rebalance."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def is_subscribed(self, topic: str) -> bool:
        """Whether the group reads ``topic``; consumers of unknown subscriptions read everything."""
        return self.uses_consumer_protocol if self.subscribed is None else topic in self.subscribed

    def supports(self, protocol_type: str, protocols: Protocols) -> bool:
        """Whether a member with these protocols can be in the group together with those that are."""
        if self.state is _EMPTY:
            return bool(protocol_type) and bool(protocols)
        if self.protocol_type != protocol_type or not protocols:
            return False
        count, supported = len(self.members), self.supported
        # Mostly the first is the one, and this is asked for at every join.
        return supported.get(protocols[0][0], 0) == count or any(
            supported.get(name, 0) == count for name, _ in protocols
        )

    def check_member(self, member_id: str, instance_id: str | None) -> Member:
        """The member that a request speaks for.

        Raises:
            GroupError: UNKNOWN_MEMBER_ID; FENCED_INSTANCE_ID if another member id has the instance id now.
        """
        if instance_id is not None:
            existing = self.static_members.get(instance_id)
            if existing is None:
                raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
            if existing != member_id:
                raise GroupError(ErrorCode.FENCED_INSTANCE_ID)
        member = self.members.get(member_id)
        if member is None:
            raise GroupError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def become(self, state: GroupState, now_ms: int) -> None:
        """Enter ``state``; only what `TRANSITIONS` has is possible."""
        assert state in TRANSITIONS[self.state], f"{self.group_id}: {self.state} -> {state}"
        self.previous_state = self.state
        self.state = state
        self.state_since_ms = now_ms

    # --- members --------------------------------------------------------------------------------------------

    def add(self, member: Member, protocol_type: str) -> None:
        """Let a member in; the first becomes the leader and decides the protocol type."""
        if member.instance_id is not None:
            assert member.instance_id not in self.static_members
            self.static_members[member.instance_id] = member.member_id
        if not self.members:
            self.protocol_type = protocol_type
        assert self.protocol_type == protocol_type
        if self.leader is None:
            self.leader = member.member_id
        self.members[member.member_id] = member
        self._count(member.protocols, 1)
        if member.join is not None:
            self.awaiting_join += 1
        self.pending_joins.pop(member.member_id, None)

    def remove(self, member_id: str) -> Member | None:
        """Take out a member (or an id given out); the eldest of the others leads if the leader went."""
        member = self.members.pop(member_id, None)
        if member is not None:
            self._count(member.protocols, -1)
            if member.join is not None:
                self.awaiting_join -= 1
            if member.instance_id is not None:
                self.static_members.pop(member.instance_id, None)
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.pending_joins.pop(member_id, None)
        self.pending_sync.discard(member_id)
        return member

    def update_protocols(self, member: Member, protocols: Protocols) -> None:
        """The member joins again, offering ``protocols``."""
        before, member.protocols = member.protocols, protocols
        if len(before) == len(protocols) == 1 and before[0][0] == protocols[0][0]:
            return  # most members have one, and only what they say with it changes
        self._count(before, -1)
        self._count(protocols, 1)

    def replace_static(self, old_id: str, member: Member) -> Member:
        """Put ``member`` in the place of the member with the same instance id; returns the old one.

        The old one's leadership passes on. Whatever it had parked is the caller's to answer.
        """
        old = self.members.pop(old_id)
        assert old.instance_id is not None
        self._count(old.protocols, -1)
        self._count(member.protocols, 1)
        self.awaiting_join += (member.join is not None) - (old.join is not None)
        self.pending_sync.discard(old_id)
        self.members[member.member_id] = member
        self.static_members[old.instance_id] = member.member_id
        if self.leader == old_id:
            self.leader = member.member_id
        return old

    def elect_leader(self) -> bool:
        """At the end of the barrier: the leader must be somebody who joined. False if nobody did."""
        if self.leader is None:
            return False
        if self.members[self.leader].join is not None:
            return True
        if self.awaiting_join == 0:
            return False
        self.leader = next(member.member_id for member in self.members.values() if member.join is not None)
        return True

    # --- generations ----------------------------------------------------------------------------------------

    def select_protocol(self) -> str:
        """The protocol that all support and most prefer; among equals, that of the eldest voter."""
        count = len(self.members)
        candidates = {name for name, supporters in self.supported.items() if supporters == count}
        assert candidates, f"{self.group_id}: no protocol is common to all members"
        if len(candidates) == 1:
            return candidates.pop()
        votes: dict[str, int] = {}
        for member in self.members.values():
            name = member.vote(candidates)
            votes[name] = votes.get(name, 0) + 1
        return max(votes, key=votes.__getitem__)

    def next_generation(self, now_ms: int) -> None:
        """All that joined are the members of a new generation; its assignment is still to come."""
        self.generation += 1
        self.protocol = self.select_protocol()
        self.subscribed = self.read_subscriptions()
        self.become(_COMPLETING, now_ms)
        self.pending_sync = set(self.members)
        self.changed_topics.clear()
        self.initial_delay = None
        self.join_deadline_ms = None

    def read_subscriptions(self) -> frozenset[str] | None:
        """What the members subscribe to, as far as all of them can be read."""
        if not self.uses_consumer_protocol:
            return None
        if not self.members:
            return frozenset()
        if self.protocol is None:
            return None
        topics: set[str] = set()
        for metadata in {member.metadata(self.protocol) for member in self.members.values()}:
            names = subscribed_topics(metadata)
            if names is None:
                return None
            topics.update(names)
        return frozenset(topics)

    def load(self, value: GroupMetadataValue) -> None:
        """Take over what a record says; the only way for recorded state to change.

        Members that are known keep their soft state (deadlines, parked requests, all protocols they offered).
        The record of a group that has just been created finds its first rebalance under way and changes
        nothing: it only makes the group known to a later start.
        """
        if self.state is _PREPARING and value.generation <= self.generation:
            return
        members: dict[str, Member] = {}
        is_new = len(value.members) != len(self.members)
        for entry in value.members:
            member = self.members.get(entry.member_id)
            if member is None or not member.is_told_by(entry, value.protocol):
                is_new = True
                member = self.replacements.pop(entry.member_id, None)
                member = member or Member.from_record(entry, value.protocol)
            member.assignment = entry.assignment
            members[entry.member_id] = member
        if is_new:
            self.members = members
            self._recount()
        if value.protocol != self.protocol or self.state is not _COMPLETING:
            self.protocol = value.protocol
            self.protocol_type = value.protocol_type or None
            self.subscribed = self.read_subscriptions()
        self.generation = value.generation
        self.leader = value.leader
        self.previous_state, self.state = self.state, (_STABLE if members else _EMPTY)
        self.state_since_ms = value.current_state_timestamp
        self.join_deadline_ms = None
        self.initial_delay = None

    def _recount(self) -> None:
        self.supported.clear()
        self.static_members.clear()
        self.awaiting_join = 0
        for member in self.members.values():
            self._count(member.protocols, 1)
            self.awaiting_join += member.join is not None
            if member.instance_id is not None:
                self.static_members[member.instance_id] = member.member_id

    def _count(self, protocols: Iterable[tuple[str, bytes]], by: int) -> None:
        supported = self.supported
        for name, _ in protocols:
            supported[name] = supported.get(name, 0) + by

    def assignments(self) -> Mapping[str, bytes]:
        """What each member holds in the current generation."""
        return {member_id: member.assignment for member_id, member in self.members.items()}

    def __repr__(self) -> str:
        state = self.state.value
        return f"Group({self.group_id} {state} generation={self.generation} members={len(self.members)})"
