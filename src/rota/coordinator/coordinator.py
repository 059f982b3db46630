"""The group coordinator: requests, timers and calls from the broker go in, outcomes come out.

``GroupCoordinator`` only distributes the work; each request has a file of its own. Handlers decide and change
soft state; ``replay`` alone changes what is recorded, when the broker has appended it and when it starts. See
`rota.coordinator.outcome` for what a caller does with an outcome, and `rota.coordinator.group` for the two
kinds of state.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rota.coordinator import offsets as offset_handlers
from rota.coordinator.consumer_groups.classic_requests import make_way, remove_by_request
from rota.coordinator.consumer_groups.describe import describe_consumer_groups
from rota.coordinator.consumer_groups.group import ConsumerGroups
from rota.coordinator.consumer_groups.leave import remove_member as remove_consumer
from rota.coordinator.consumer_groups.offsets import maybe_expire as maybe_expire_of_consumers
from rota.coordinator.consumer_groups.place import Place
from rota.coordinator.consumer_groups.sessions import Sessions
from rota.coordinator.consumer_groups.steering import (
    arm_again,
    arm_deadlines,
    begin_rebalance,
    on_consumer_timer,
)
from rota.coordinator.describe import delete_groups, describe_groups, list_groups
from rota.coordinator.failures import fail
from rota.coordinator.fetch_offsets import fetch_offsets
from rota.coordinator.group import Group
from rota.coordinator.heartbeat import beat, handle_heartbeat
from rota.coordinator.join import handle_join, join_others
from rota.coordinator.leave import handle_leave
from rota.coordinator.offsets import CommittedOffsets
from rota.coordinator.outcome import EMPTY_OUTCOME, Outcome, Reply
from rota.coordinator.rebalance import (
    member_gone,
    on_join_timer,
    on_session_timer,
    on_sync_timer,
    prepare,
    remove_member,
)
from rota.coordinator.records import offset_tombstone
from rota.coordinator.states import GroupState
from rota.coordinator.step import Groups, Step
from rota.coordinator.sync import handle_sync
from rota.model import ErrorCode
from rota.timeline.events import OffsetCommitted, RebalanceReason
from rota.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from rota.wire.messages.delete_groups import DeleteGroupsRequest
from rota.wire.messages.describe_groups import DescribeGroupsRequest
from rota.wire.messages.group_log import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from rota.wire.messages.heartbeat import HeartbeatRequest
from rota.wire.messages.join_group import JoinGroupRequest
from rota.wire.messages.leave_group import LeaveGroupRequest
from rota.wire.messages.list_groups import ListGroupsRequest
from rota.wire.messages.offset_commit import OffsetCommitRequest
from rota.wire.messages.offset_delete import OffsetDeleteRequest
from rota.wire.messages.offset_fetch import OffsetFetchRequest
from rota.wire.messages.sync_group import SyncGroupRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rota.coordinator.config import GroupConfig
    from rota.coordinator.outcome import Context, LogRecord, TimerKey, TopicView
    from rota.coordinator.pending_offsets import InTransaction
    from rota.wire.messages.txn_offset_commit import TxnOffsetCommitRequest
    from rota.wire.schema import Message

__all__ = ["DEFAULT_PARTITIONS", "GroupCoordinator", "partition_for"]

DEFAULT_PARTITIONS = 50
"""``offsets.topic.num.partitions``"""


class GroupCoordinator:
    """All groups, classic ones and consumer groups, with what they have committed.

    ``overrides`` tells which configs were set for a group.
    """

    def __init__(
        self,
        config: GroupConfig,
        new_id: Callable[[], str],
        topics: TopicView,
        overrides: Callable[[str], Mapping[str, str]] = lambda _group: {},
    ) -> None:
        self.config = config
        self.groups = Groups()
        self.consumer_groups = ConsumerGroups()
        self._place = Place(self.groups, self.consumer_groups, topics, Sessions(), config, overrides)
        self.offsets = CommittedOffsets()
        self._new_id = new_id
        self._topics = topics
        self._answers: dict[type[Message], Callable[[Any, Context], Outcome]] = {
            HeartbeatRequest: self._heartbeat,
            OffsetCommitRequest: self._commit,
            OffsetFetchRequest: self._fetch,
            JoinGroupRequest: self._join,
            SyncGroupRequest: self._sync,
            LeaveGroupRequest: self._leave,
            DescribeGroupsRequest: self._describe,
            ListGroupsRequest: self._list,
            DeleteGroupsRequest: self._delete,
            OffsetDeleteRequest: self._delete_offsets,
            ConsumerGroupHeartbeatRequest: self._consumer_heartbeat,
            ConsumerGroupDescribeRequest: self._describe_consumer_groups,
        }

    # --- requests -------------------------------------------------------------------------------------------

    def handle(self, request: Message, context: Context) -> Outcome:
        """What follows from a request. It is answered in this outcome or in a later one, exactly once."""
        return self._answers[type(request)](request, context)

    def beat(self, request: HeartbeatRequest, now_ms: int) -> ErrorCode | None:
        """A short cut for heartbeats: the error code of the answer if nothing else follows from it.

        None: nothing has been done, and ``handle`` has to.
        """
        if self.consumer_groups and request.group_id in self.consumer_groups:
            return None
        return beat(self.groups, request, now_ms)

    def _heartbeat(self, request: HeartbeatRequest, context: Context) -> Outcome:
        if self.consumer_groups and request.group_id in self.consumer_groups:
            from rota.coordinator.consumer_groups.classic_members import heartbeat_in_consumer_group

            step = self._step(context.now_ms)
            group = self.consumer_groups[request.group_id]
            heartbeat_in_consumer_group(self._place, group, request, context, step)
            return step.outcome()
        return handle_heartbeat(self.groups, request, context)

    def _consumer_heartbeat(self, request: ConsumerGroupHeartbeatRequest, context: Context) -> Outcome:
        # Half of what consumer groups are made of: a broker that serves classic ones does not wait for it.
        from rota.coordinator.consumer_groups.heartbeat import handle_heartbeat as handle_consumer_heartbeat

        step = self._step(context.now_ms)
        handle_consumer_heartbeat(self._place, request, context, step)
        return step.outcome()

    def _join(self, request: JoinGroupRequest, context: Context) -> Outcome:
        group = self.groups.get(request.group_id)
        if group is not None and join_others(group, request, context, self.config):
            return EMPTY_OUTCOME
        step = self._step(context.now_ms)
        consumer_group = self.consumer_groups.get(request.group_id)
        if consumer_group is not None and consumer_group.members:
            from rota.coordinator.consumer_groups.classic_join import join_consumer_group

            join_consumer_group(self._place, consumer_group, request, context, step)
            return step.outcome()
        if consumer_group is not None:
            make_way(consumer_group, request, step)
        handle_join(self.groups, request, context, step)
        return step.outcome()

    def _sync(self, request: SyncGroupRequest, context: Context) -> Outcome:
        step = self._step(context.now_ms)
        if self.consumer_groups and request.group_id in self.consumer_groups:
            from rota.coordinator.consumer_groups.classic_members import sync_in_consumer_group

            group = self.consumer_groups[request.group_id]
            sync_in_consumer_group(self._place, group, request, context, step)
            return step.outcome()
        handle_sync(self.groups, request, context, step)
        return step.outcome()

    def _leave(self, request: LeaveGroupRequest, context: Context) -> Outcome:
        step = self._step(context.now_ms)
        consumer_group = self.consumer_groups.get(request.group_id)
        if consumer_group is not None:
            remove_by_request(self._place, consumer_group, request, context, step)
            return step.outcome()
        handle_leave(self.groups, request, context, step)
        return step.outcome()

    def _commit(self, request: OffsetCommitRequest, context: Context) -> Outcome:
        step = self._step(context.now_ms)
        offset_handlers.handle_commit(self.groups, self.consumer_groups, self._topics, request, context, step)
        return step.outcome()

    def commit_in_transaction(self, request: TxnOffsetCommitRequest, context: Context) -> Outcome:
        """What follows from a TxnOffsetCommit; its records are part of the producer's transaction."""
        from rota.coordinator.transactional_commit import handle_transactional_commit

        step = self._step(context.now_ms)
        handle_transactional_commit(self.groups, self.consumer_groups, request, context, step)
        return step.outcome()

    def _delete_offsets(self, request: OffsetDeleteRequest, context: Context) -> Outcome:
        step = self._step(context.now_ms)
        offset_handlers.handle_delete(
            self.groups, self.consumer_groups, self.offsets, self._topics, request, context, step
        )
        return step.outcome()

    def _delete(self, request: DeleteGroupsRequest, context: Context) -> Outcome:
        step = self._step(context.now_ms)
        delete_groups(self.groups, self.consumer_groups, self.offsets, request, context, step)
        return step.outcome()

    def _fetch(self, request: OffsetFetchRequest, context: Context) -> Outcome:
        return _answer(context, fetch_offsets(self.consumer_groups, self.offsets, request, context.version))

    def _describe(self, request: DescribeGroupsRequest, context: Context) -> Outcome:
        return _answer(context, describe_groups(self.groups, self.consumer_groups, request, context.version))

    def _list(self, request: ListGroupsRequest, context: Context) -> Outcome:
        return _answer(context, list_groups(self.groups, self.consumer_groups, request))

    def _describe_consumer_groups(self, request: ConsumerGroupDescribeRequest, context: Context) -> Outcome:
        return _answer(context, describe_consumer_groups(self._place, request))

    # --- the log --------------------------------------------------------------------------------------------

    def replay(self, record: LogRecord, timestamp_ms: int, transaction: InTransaction | None = None) -> None:
        """Take over a record that is in the log; with ``end_transaction`` all that changes recorded state.

        ``transaction``: the one that the record is part of.
        """
        key, value = record
        if isinstance(key, OffsetCommitKey):
            if value is None:
                self.offsets.remove(key)
                return
            assert isinstance(value, OffsetCommitValue)
            if key.group not in self.groups and key.group not in self.consumer_groups:
                # A simple group: offsets without membership.
                self.groups[key.group] = Group(key.group, timestamp_ms)
            if transaction is None:
                self.offsets.put(key, value)
            else:
                self.offsets.pending.put(key, value, transaction)
        elif isinstance(key, GroupMetadataKey):
            if value is None:
                self.groups.pop(key.group, None)
                return
            assert isinstance(value, GroupMetadataValue)
            # Of a group that changed its kind nothing should be left; the kind of the last record counts.
            self.consumer_groups.pop(key.group, None)
            group = self.groups.get(key.group)
            if group is None:
                converted = self.groups.converted.pop(key.group, None)
                group = self.groups[key.group] = converted or Group(key.group, timestamp_ms)
            group.load(value)
        else:
            if value is not None:
                # What was a simple group of offsets only is more than that.
                self.groups.pop(record.group, None)
            self.consumer_groups.replay(record)

    def end_transaction(
        self, transaction: InTransaction, now_ms: int, *, committed: bool
    ) -> tuple[OffsetCommitted, ...]:
        """Take over a marker that is in the log: what was pending is committed now, or never was. What to tell."""
        told = []
        ended = self.offsets.pending.end(transaction)
        for (group_id, topic, partition), order, value in ended if committed else ():
            key = OffsetCommitKey(group=group_id, topic=topic, partition=partition)
            self.offsets.put(key, value, order)
            told.append(OffsetCommitted(now_ms, group_id, "", topic, partition, value.offset))
        return tuple(told)

    def on_loaded(self, now_ms: int) -> Outcome:
        """After the start-up replay: every member has a whole session timeout to be heard from.

        Groups go on in the generation they were in; only one that has become too large rebalances, so that
        its members may commit before some of them are turned away.
        """
        step = self._step(now_ms)
        for group in self.groups.values():
            for member in group.members.values():
                step.extend_session(group, member)
            if len(group.members) > self.config.max_size:
                detail = f"{len(group.members)} members, but group.max.size is {self.config.max_size}"
                prepare(group, RebalanceReason.OPERATOR, "", detail, step)
        arm_deadlines(self._place, step)
        return step.outcome()

    def on_append_failed(
        self, outcome: Outcome, now_ms: int, code: ErrorCode = ErrorCode.NOT_COORDINATOR
    ) -> Outcome:
        """The records of ``outcome`` could not be appended: what to do instead of it. Records nothing.

        NOT_COORDINATOR is what Kafka answers when its storage fails; clients look for the coordinator again.
        """
        step = self._step(now_ms)
        fail(self.groups, outcome, code, step)
        arm_again(self._place, outcome.records, step)
        failed = step.outcome()
        assert not failed.records
        return failed

    # --- time -----------------------------------------------------------------------------------------------

    def on_timer(self, key: TimerKey, now_ms: int) -> Outcome:
        """A deadline that was asked for has passed. Deadlines that moved meanwhile are asked for again."""
        group = self.groups.get(key[1])
        step = self._step(now_ms)
        if on_consumer_timer(self._place, key, step):
            return step.outcome()
        if group is not None:
            if key[0] == "session":
                on_session_timer(group, key[2], step)
            elif key[0] == "join":
                on_join_timer(group, step)
            else:
                assert key[0] == "sync", key
                on_sync_timer(group, step)
        return step.outcome()

    def expire_offsets(self, now_ms: int) -> Outcome:
        """Forget offsets, and groups, that were not used for ``offsets.retention.minutes``."""
        step = self._step(now_ms)
        for group in self.groups.values():
            offset_handlers.maybe_expire(group, self.offsets, step)
        for consumer_group in self.consumer_groups.values():
            maybe_expire_of_consumers(consumer_group, self.offsets, step)
        return step.outcome()

    # --- topics ---------------------------------------------------------------------------------------------

    def topic_deleted(self, topic: str, now_ms: int) -> Outcome:
        """Nothing of a deleted topic stays committed."""
        step = self._step(now_ms)
        for group_id, partition in self.offsets.of_topic(topic):
            step.records.append(offset_tombstone(group_id, topic, partition))
        return step.outcome()

    def topic_changed(self, topic: str, now_ms: int) -> Outcome:
        """A topic has other partitions now: remember why its groups' leaders are going to join again."""
        for group in self.groups.values():
            if group.subscribed is not None and topic in group.subscribed:
                group.changed_topics.add(topic)
        return self._step(now_ms).outcome()

    # --- steering -------------------------------------------------------------------------------------------

    def expire_session(self, group_id: str, member_id: str, now_ms: int) -> Outcome:
        """End a member's session now, as if it had been silent for its session timeout.

        Raises:
            GroupError: GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID
        """
        step = self._step(now_ms)
        reason, detail = RebalanceReason.SESSION_EXPIRED, "ended on request"
        if group_id in self.consumer_groups:
            consumer_group = self.consumer_groups[group_id]
            consumer = consumer_group.member(member_id)
            remove_consumer(self._place, consumer_group, consumer, reason, detail, step)
            return step.outcome()
        group = self.groups.existing(group_id)
        member = group.check_member(member_id, None)
        remove_member(group, member, reason, detail, step)
        member_gone(group, reason, member_id, detail, step)
        return step.outcome()

    def force_rebalance(self, group_id: str, reason_text: str, now_ms: int) -> Outcome:
        """Begin a rebalance now, unless the group has no members or is at the barrier already.

        Raises:
            GroupError: GROUP_ID_NOT_FOUND
        """
        step = self._step(now_ms)
        if group_id in self.consumer_groups:
            begin_rebalance(self.consumer_groups[group_id], reason_text, step)
            return step.outcome()
        group = self.groups.existing(group_id)
        if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
            prepare(group, RebalanceReason.OPERATOR, "", reason_text, step)
        return step.outcome()

    def _step(self, now_ms: int) -> Step:
        return Step(self.config, self._new_id, now_ms)


def _answer(context: Context, response: Message) -> Outcome:
    return Outcome(replies=(Reply(context.token, response),))


def partition_for(group_id: str, partitions: int = DEFAULT_PARTITIONS) -> int:
    """The partition of ``__consumer_offsets`` that a group's records are in: Java's hash of its name."""
    # Names come from the network: only short ones are kept, or a client could fill the memory with them.
    find = _known_partition if len(group_id) <= _LONGEST_KNOWN else _partition
    return find(group_id, partitions)


def _partition(group_id: str, partitions: int) -> int:
    code = 0
    encoded = group_id.encode("utf-16-be", "surrogatepass")
    for high, low in zip(encoded[::2], encoded[1::2], strict=True):
        code = (31 * code + (high << 8) + low) & 0xFFFF_FFFF
    signed = code - 2**32 if code >= 2**31 else code
    # Java has no absolute value for its least integer; Kafka takes 0.
    return 0 if signed == -(2**31) else abs(signed) % partitions


_LONGEST_KNOWN = 255  # characters
_known_partition = lru_cache(maxsize=4096)(_partition)  # asked for at every commit
