"""A coordinator with a clock, a log and timers that a test owns: the part of the broker, in one small class.

``send`` gives a request to the coordinator and returns a token; ``answer(token)`` is the response, once there
is one. ``advance`` moves the clock and lets timers fire in order. Every record goes through its bytes, every
reply is checked to be the first to its request, and nothing ever sleeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.coordinator import Context, GroupConfig, GroupCoordinator, LogRecord, Outcome, Reply
from rota.coordinator.log_format import decode_record, encode_record
from rota.model import TopicPartition
from rota.wire.codec import encode_versioned
from rota.wire.messages.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
)
from rota.wire.messages.consumer_protocol import TopicPartition as SubscribedPartition
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from rota.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.timeline.events import Event

HOST = "/127.0.0.1"


class Topics(dict[str, int]):
    """A ``TopicView`` that is a dict. A topic's id is its name, or what ``ids`` says of it."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        super().__init__(topics)
        self.ids: dict[str, bytes] = {}

    @property
    def version(self) -> int:
        return hash((*sorted(self.items()), *sorted(self.ids.items())))

    def partitions(self, topic: str) -> int | None:
        return self.get(topic)

    def topic_id(self, topic: str) -> bytes | None:
        return self.ids.get(topic, topic.encode().ljust(16)) if topic in self else None

    def topic_name(self, topic_id: bytes) -> str | None:
        return next((name for name in self if self.topic_id(name) == topic_id), None)

    def names(self) -> list[str]:
        return sorted(self)


class Simulation:
    """One broker's life, and after ``restart`` the next."""

    def __init__(self, config: GroupConfig | None = None, topics: Mapping[str, int] | None = None) -> None:
        self.config = config or GroupConfig()
        self.topics = Topics(topics if topics is not None else {"orders": 6, "payments": 2})
        self.now_ms = 1_000_000
        self.log: list[tuple[bytes, bytes | None, int]] = []
        self.events: list[Event] = []
        self.answers: dict[int, Any] = {}
        self.waiting: set[int] = set()
        self.fail_appends = False
        self.last = Outcome()
        self._ids = 0
        self._tokens = 0
        self.timers: dict[tuple[str, ...], int] = {}
        self.coordinator = self._coordinator()

    def _coordinator(self) -> GroupCoordinator:
        return GroupCoordinator(self.config, self._new_id, self.topics)

    def _new_id(self) -> str:
        self._ids += 1
        return str(self._ids)

    # --- the broker's part ----------------------------------------------------------------------------------

    def send(self, request: Any, version: int, client_id: str = "c", host: str = HOST) -> int:
        self._tokens += 1
        token = self._tokens
        self.waiting.add(token)
        short = self.coordinator.beat(request, self.now_ms) if isinstance(request, HeartbeatRequest) else None
        outcome = self.coordinator.handle(request, Context(token, version, client_id, host, self.now_ms))
        if short is not None:  # the long way says the same
            assert outcome == Outcome(replies=(Reply(token, HeartbeatResponse(error_code=short)),))
        self.carry_out(outcome)
        return token

    def ask(self, request: Any, version: int, client_id: str = "c") -> Any:
        """A request that is answered at once."""
        return self.answers[self.send(request, version, client_id)]

    def answer(self, token: int) -> Any:
        """The response, or None while the request is parked."""
        return self.answers.get(token)

    def carry_out(self, outcome: Outcome) -> None:
        if outcome.records and self.fail_appends:
            outcome = self.coordinator.on_append_failed(outcome, self.now_ms)
            assert not outcome.records
        for record in outcome.records:
            key, value = encode_record(record)
            self.log.append((key, value, self.now_ms))
            self.coordinator.replay(record, self.now_ms)
        for reply in outcome.replies:
            assert reply.token in self.waiting, f"answered twice: {reply}"
            self.waiting.discard(reply.token)
            self.answers[reply.token] = reply.response
        for timer in outcome.timers:
            if timer.deadline_ms is None:
                self.timers.pop(timer.key, None)
            else:
                self.timers[timer.key] = timer.deadline_ms
        self.events += outcome.events
        self.last = outcome

    def advance(self, ms: int) -> None:
        """Let time pass; timers fire at their deadlines, in order."""
        until_ms = self.now_ms + ms
        while self.timers:
            key = min(self.timers, key=lambda k: (self.timers[k], k))
            if self.timers[key] > until_ms:
                break
            self.now_ms = max(self.now_ms, self.timers.pop(key))
            self.carry_out(self.coordinator.on_timer(key, self.now_ms))
        self.now_ms = until_ms

    def restart(self) -> None:
        """kill -9: the next broker knows the log and nothing else. Parked requests die with their sockets."""
        self.waiting.clear()
        self.timers.clear()
        self.coordinator = self.replayed()
        self.carry_out(self.coordinator.on_loaded(self.now_ms))

    def replayed(self, *, compacted: bool = False) -> GroupCoordinator:
        """Another coordinator that has only read the log, whole or ``compacted``: without what was overwritten."""
        coordinator = self._coordinator()
        last = {key: index for index, (key, _, _) in enumerate(self.log)}
        for index, (key, value, timestamp_ms) in enumerate(self.log):
            if compacted and last[key] != index:
                continue
            record = decode_record(key, value)
            assert isinstance(record, LogRecord)
            coordinator.replay(record, timestamp_ms)
        return coordinator

    # --- what clients do ------------------------------------------------------------------------------------

    def join(self, member: str = "", *, group: str = "g", version: int = 9, **options: Any) -> int:
        """Send a JoinGroup; see ``join_request`` for the options."""
        client_id = options.pop("client_id", "c")
        return self.send(join_request(group, member, **options), version, client_id)

    def join_new(self, *, client_id: str = "c", **options: Any) -> tuple[str, int]:
        """Ask for a member id and join with it; the id and the token of the second request."""
        version = options.get("version", 9)
        first = self.answer(self.join(client_id=client_id, **options))
        assert version >= 4, "older versions get no id in advance"
        return first.member_id, self.join(first.member_id, client_id=client_id, **options)

    def sync(
        self, member: str, generation: int, assignment: Mapping[str, bytes] | None = None, **options: Any
    ) -> int:
        group, version = options.pop("group", "g"), options.pop("version", 5)
        return self.send(sync_request(group, member, generation, assignment, **options), version)

    def heartbeat(
        self, member: str, generation: int, *, group: str = "g", instance: str | None = None
    ) -> int:
        """The error code."""
        request = HeartbeatRequest(
            group_id=group, generation_id=generation, member_id=member, group_instance_id=instance
        )
        code: int = self.ask(request, 4).error_code
        return code

    def leave(self, *members: str, group: str = "g", reason: str | None = None) -> Any:
        request = LeaveGroupRequest(
            group_id=group, members=[MemberIdentity(member_id=member, reason=reason) for member in members]
        )
        return self.ask(request, 5)

    def commit(
        self,
        offsets: Mapping[TopicPartition, int],
        member: str = "",
        generation: int = -1,
        *,
        group: str = "g",
        version: int = 9,
        metadata: str | None = "",
        **options: Any,
    ) -> dict[TopicPartition, int]:
        """The error code of each partition."""
        request = commit_request(offsets, member, generation, group=group, metadata=metadata, **options)
        response = self.ask(request, version)
        return {
            TopicPartition(topic.name, partition.partition_index): partition.error_code
            for topic in response.topics
            for partition in topic.partitions
        }

    def group(self, group: str = "g") -> Any:
        return self.coordinator.groups[group]

    def stable(self, count: int, **options: Any) -> list[str]:
        """A Stable group of ``count`` members: their ids, the leader first."""
        joins = [self.join_new(**options) for _ in range(count)]
        self.advance(self.config.initial_rebalance_delay_ms * count)
        members = [member for member, _ in joins]
        self.sync_all(members)
        return members

    def sync_all(self, members: list[str], **options: Any) -> None:
        """All members send SyncGroup; the leader gives each one partition of ``orders``."""
        group = self.group(options.get("group", "g"))
        plan = {member: assignment_bytes({"orders": [i]}) for i, member in enumerate(sorted(members))}
        for member in members:
            is_leader = group.leader == member
            self.sync(member, group.generation, plan if is_leader else None, **options)


def assert_same(first: Simulation, second: Simulation) -> None:
    """Both have lived through the same, to the last record and timer."""
    assert first.answers == second.answers
    assert first.log == second.log
    assert first.events == second.events
    assert first.timers == second.timers


def join_request(
    group: str = "g",
    member: str = "",
    *,
    topics: list[str] | None = None,
    owned: Mapping[str, list[int]] | None = None,
    protocols: list[tuple[str, bytes]] | None = None,
    protocol_type: str = "consumer",
    session_ms: int = 10_000,
    rebalance_ms: int = 60_000,
    instance: str | None = None,
    reason: str | None = None,
) -> Any:
    if protocols is None:
        protocols = [("range", subscription_bytes(topics or ["orders"], owned))]
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_ms,
        rebalance_timeout_ms=rebalance_ms,
        member_id=member,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocols=[JoinGroupRequestProtocol(name=name, metadata=data) for name, data in protocols],
        reason=reason,
    )


def sync_request(
    group: str,
    member: str,
    generation: int,
    assignment: Mapping[str, bytes] | None = None,
    *,
    instance: str | None = None,
    protocol: str | None = "range",
    protocol_type: str | None = "consumer",
) -> Any:
    return SyncGroupRequest(
        group_id=group,
        generation_id=generation,
        member_id=member,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocol_name=protocol,
        assignments=[
            SyncGroupRequestAssignment(member_id=name, assignment=data)
            for name, data in (assignment or {}).items()
        ],
    )


def commit_request(
    offsets: Mapping[TopicPartition, int],
    member: str = "",
    generation: int = -1,
    *,
    group: str = "g",
    metadata: str | None = "",
    retention_ms: int = -1,
    instance: str | None = None,
) -> Any:
    topics: dict[str, list[OffsetCommitRequestPartition]] = {}
    for (topic, partition), offset in offsets.items():
        topics.setdefault(topic, []).append(
            OffsetCommitRequestPartition(
                partition_index=partition, committed_offset=offset, committed_metadata=metadata
            )
        )
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        group_instance_id=instance,
        retention_time_ms=retention_ms,
        topics=[OffsetCommitRequestTopic(name=name, partitions=parts) for name, parts in topics.items()],
    )


def subscription_bytes(topics: list[str], owned: Mapping[str, list[int]] | None = None) -> bytes:
    message = ConsumerProtocolSubscription(
        topics=topics,
        owned_partitions=[
            SubscribedPartition(topic=topic, partitions=partitions)
            for topic, partitions in (owned or {}).items()
        ],
    )
    return encode_versioned(message, 1)


def assignment_bytes(partitions: Mapping[str, list[int]]) -> bytes:
    message = ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignmentTopicPartition(topic=topic, partitions=indexes)
            for topic, indexes in partitions.items()
        ]
    )
    return encode_versioned(message, 0)
