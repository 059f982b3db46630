"""A consumer that uses the classic protocol as real ones do, cooperatively (KIP-429) or eagerly.

A cooperative one goes on with what it holds while the group rebalances, gives up what it was not given again, and joins
once more. An eager one lets go of everything before it joins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.coordinator.simulation import assignment_bytes

from rota.coordinator.assignors import ASSIGNORS, MemberSubscription
from rota.coordinator.subscriptions import assigned_partitions
from rota.model import ErrorCode, TopicPartition
from rota.wire.codec import decode_versioned, encode_versioned
from rota.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from rota.wire.messages.consumer_protocol import TopicPartition as OwnedPartitions
from rota.wire.messages.heartbeat import HeartbeatRequest
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from rota.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ClassicClient"]

_COOPERATIVE = "cooperative-sticky"
_AGAIN = (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.NOT_COORDINATOR, ErrorCode.MEMBER_ID_REQUIRED)


class ClassicClient:
    """One consumer. ``held`` is what it consumes.

    ``next`` is what it does next: "join", "sync", "beat" or "let go"; "wait" while an answer is awaited. ``is_alive``
    is False once it was told that somebody else has taken its place.
    """

    def __init__(
        self,
        topics: list[str],
        *,
        group: str = "g",
        instance: str | None = None,
        session_ms: int = 45_000,
        strategy: str = _COOPERATIVE,
    ) -> None:
        self.group = group
        self.topics = topics
        self.instance = instance
        self.session_ms = session_ms
        self.strategy = strategy
        self.member = ""
        self.generation = -1
        self.held: frozenset[TopicPartition] = frozenset()
        self.wanted: frozenset[TopicPartition] = frozenset()
        self.next = "join"
        self.is_alive = True
        self.plan: Mapping[str, bytes] = {}

    # --- what it says ---------------------------------------------------------------------------------------

    def join(self, rebalance_ms: int = 60_000) -> JoinGroupRequest:
        """With all that it holds."""
        self.next = "wait"
        if self.strategy != _COOPERATIVE:
            self.held = frozenset()
        subscription = ConsumerProtocolSubscription(
            topics=self.topics, owned_partitions=_listed(self.held), generation_id=self.generation
        )
        metadata = encode_versioned(subscription, 2)
        return JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_ms,
            rebalance_timeout_ms=rebalance_ms,
            member_id=self.member,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name=self.strategy, metadata=metadata)],
        )

    def sync(self) -> SyncGroupRequest:
        """With everybody's assignment, if it leads."""
        self.next = "wait"
        return SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocol_name=self.strategy,
            assignments=[
                SyncGroupRequestAssignment(member_id=member, assignment=data)
                for member, data in self.plan.items()
            ],
        )

    def beat(self) -> HeartbeatRequest:
        return HeartbeatRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member,
            group_instance_id=self.instance,
        )

    def bye(self) -> LeaveGroupRequest:
        return LeaveGroupRequest(
            group_id=self.group,
            members=[MemberIdentity(member_id=self.member, group_instance_id=self.instance)],
        )

    # --- what it hears --------------------------------------------------------------------------------------

    def hear(self, api: str, answer: Any, partitions: Mapping[str, int], *, lets_go: bool = True) -> None:
        """Take an answer in; a slow client (not ``lets_go``) goes on with what it should have given up."""
        code = ErrorCode(answer.error_code)
        if code == ErrorCode.NONE:
            getattr(self, f"_hear_{api}")(answer, partitions, lets_go)
        elif code in _AGAIN:
            if code == ErrorCode.MEMBER_ID_REQUIRED:
                self.member = answer.member_id
            self.next = "join"
        else:
            self._lose(code)

    def _hear_join(self, answer: Any, partitions: Mapping[str, int], _lets_go: bool) -> None:
        self.member, self.generation, self.next = answer.member_id, answer.generation_id, "sync"
        self.plan = {}
        if answer.members:
            members = {each.member_id: _subscription(each) for each in answer.members}
            shares = ASSIGNORS[self.strategy](members, partitions)
            self.plan = {member: assignment_bytes(_by_topic(share)) for member, share in shares.items()}

    def _hear_sync(self, answer: Any, _partitions: Mapping[str, int], lets_go: bool) -> None:
        self.wanted = frozenset(assigned_partitions(answer.assignment))
        revoked = self.held - self.wanted
        self.held |= self.wanted
        self.next = "let go" if revoked else "beat"
        if lets_go:
            self.let_go()

    def _hear_beat(self, _answer: Any, _partitions: Mapping[str, int], _lets_go: bool) -> None:
        """Nothing new."""

    def let_go(self) -> None:
        """Give up what it was not given again, and say so by joining."""
        if self.next == "let go":
            self.held, self.next = self.wanted, "join"

    def _lose(self, code: ErrorCode) -> None:
        """It is out, or in a generation that is no more: what it held may be somebody else's."""
        self.held = self.wanted = frozenset()
        self.generation, self.next = -1, "join"
        if code == ErrorCode.UNKNOWN_MEMBER_ID:
            self.member = ""
        elif code != ErrorCode.ILLEGAL_GENERATION:
            self.is_alive = False


def _subscription(member: Any) -> MemberSubscription:
    read = decode_versioned(ConsumerProtocolSubscription, member.metadata)
    owned = [TopicPartition(each.topic, index) for each in read.owned_partitions for index in each.partitions]
    return MemberSubscription(tuple(read.topics), owned, read.generation_id, member.group_instance_id)


def _by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, partition in sorted(partitions):
        found.setdefault(topic, []).append(partition)
    return found


def _listed(partitions: Iterable[TopicPartition]) -> list[OwnedPartitions]:
    return [
        OwnedPartitions(topic=topic, partitions=indexes) for topic, indexes in _by_topic(partitions).items()
    ]
