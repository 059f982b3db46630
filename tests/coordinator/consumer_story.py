"""Stories of consumer groups (KIP-848) as text, like those of `story`.

A client's name is its member id. It is a `ConsumerClient`: ``beat alice`` says what it holds when that has changed, and
an answer that takes partitions away is obeyed at once, unless ``slow alice`` came before.

    join alice topics=orders
    ----
    [0] ! alice is a member
    [0] alice <- epoch=1 orders-0,orders-1

``group:`` is the group's state, its epoch and the epoch of its target assignment. ``classic join carol`` and the like
are what members of the classic protocol say in the same group, see `story`.
"""

from __future__ import annotations

from typing import Any

from tests.coordinator.consumer_client import ConsumerClient
from tests.coordinator.story import GROUP, Story, _delete, _describe, _fetch, _record, _shown

from rota.coordinator import GroupConfig
from rota.coordinator.consumer_groups.assignment import Assigned, assigned_from, each
from rota.coordinator.consumer_groups.member import MemberState
from rota.model import ErrorCode, TopicPartition
from rota.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from rota.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMetadataKey,
)
from rota.wire.messages.list_groups import ListGroupsRequest


class ConsumerStory(Story):
    """One consumer group."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: dict[str, ConsumerClient] = {}
        self.slow: set[str] = set()
        self.overrides: dict[str, str] = {}

    # --- commands -------------------------------------------------------------------------------------------

    def do_config(self, **options: str) -> None:
        """``consumer_max_size=2``: before anything else."""
        settings: dict[str, Any] = {name: int(value) for name, value in options.items()}
        self.sim.config = GroupConfig(**settings)
        self.sim.coordinator = self.sim._coordinator()

    def do_join(self, name: str, **options: str) -> None:
        """With nothing in its hands; ``instance=`` makes it a static member."""
        client = ConsumerClient(name, instance=options.get("instance"))
        self.clients[name] = client
        topics = options["topics"].split(",") if options.get("topics") else None
        if topics is None and "regex" not in options:
            topics = ["orders"]
        request = client.join(
            topics,
            regex=options.get("regex"),
            assignor=options.get("assignor"),
            rebalance_ms=int(options.get("rebalance_ms", "60000")),
        )
        self._heartbeat(name, request)

    def do_beat(self, *names: str, topics: str | None = None, full: str = "") -> None:  # type: ignore[override]
        for name in names:
            wanted = None if topics is None else topics.split(",")
            self._heartbeat(name, self.clients[name].beat(topics=wanted, full=bool(full)))

    def do_lost(self, name: str) -> None:
        """A heartbeat whose answer gets lost."""
        client = self.clients[name]
        before = client.epoch, client.wanted, client.held
        self.do_beat(name)
        client.epoch, client.wanted, client.held = before

    def do_alive(self, ms: str, *names: str) -> None:
        """Time passes while these clients send heartbeats every five seconds; only what is new is shown."""
        until_ms = self.sim.now_ms + int(ms)
        while self.sim.now_ms < until_ms:
            self.sim.advance(min(5_000, until_ms - self.sim.now_ms))
            for name in names:
                before, epoch = len(self.lines), self.clients[name].epoch
                self.do_beat(name)
                if self.lines[before:] and self.lines[before:][-1].endswith(
                    f"{name} <- ConsumerGroupHeartbeat epoch={epoch}"
                ):
                    del self.lines[before:]

    def do_slow(self, name: str) -> None:
        self.slow.add(name)

    def do_let_go(self, name: str) -> None:
        """A slow client gives up what it was asked for."""
        self.slow.discard(name)
        self.clients[name].let_go()

    def do_leave(self, name: str) -> None:  # type: ignore[override]
        self._heartbeat(name, self.clients[name].bye())

    def do_away(self, name: str) -> None:
        """A static member that will be back."""
        self._heartbeat(name, self.clients[name].bye(-2))

    def do_classic(self, what: str, *names: str, **options: str) -> None:
        """A command of a client that uses the classic protocol."""
        if what == "rejoin":
            self.do_classic("join", *names, fresh="yes", **options)
            what = "join"
        getattr(Story, f"do_{what}")(self, *names, **options)

    def do_commit(self, name: str, **offsets: str) -> None:
        client = self.clients.get(name)
        self.members[name] = client.member if client else ""
        self.generations[name] = client.epoch if client else -1
        super().do_commit(name, **offsets)

    def do_topic(self, name: str, count: str) -> None:
        """A topic that has ``count`` partitions from now on; 0: none."""
        if int(count):
            self.sim.topics[name] = int(count)
            self.sim.carry_out(self.sim.coordinator.topic_changed(name, self.sim.now_ms))
        else:
            del self.sim.topics[name]
            self.sim.carry_out(self.sim.coordinator.topic_deleted(name, self.sim.now_ms))

    def do_describe(self) -> None:
        self._send("admin", "ConsumerGroupDescribe", ConsumerGroupDescribeRequest(group_ids=[GROUP]), 1)

    def do_describe_classic(self) -> None:
        super().do_describe()

    def do_list(self) -> None:
        self._send("admin", "ListGroups", ListGroupsRequest(), 5)

    def do_expire(self, name: str) -> None:
        self.sim.carry_out(self.sim.coordinator.expire_session(GROUP, name, self.sim.now_ms))

    # --- telling --------------------------------------------------------------------------------------------

    def _heartbeat(self, name: str, request: ConsumerGroupHeartbeatRequest) -> None:
        self._send(name, "ConsumerGroupHeartbeat", request, 1)

    def _learn(self, name: str, api: str, response: Any) -> None:
        if api == "ConsumerGroupHeartbeat":
            self.clients[name].hear(response, lets_go=name not in self.slow)
        else:
            super()._learn(name, api, response)

    def _group_in_words(self) -> str:
        group = self.sim.coordinator.consumer_groups.get(GROUP)
        if group is None:
            return super()._group_in_words()
        return f"{group.state.value} epoch={group.epoch} target={group.assignment_epoch}"

    def _record_in_words(self, record: Any) -> str:
        key, value = record
        gone = " forgotten" if value is None else ""
        match key:
            case ConsumerGroupMetadataKey():
                return "group forgotten" if gone else f"epoch {value.epoch}"
            case ConsumerGroupMemberMetadataKey():
                if gone:
                    return f"member {key.member_id} forgotten"
                regex = f" regex={value.subscribed_topic_regex}" if value.subscribed_topic_regex else ""
                instance = f" instance={value.instance_id}" if value.instance_id else ""
                classic = "" if value.classic_member_metadata is None else " classic"
                topics = ",".join(value.subscribed_topic_names)
                return f"member {key.member_id} topics={topics}{regex}{instance}{classic}"
            case ConsumerGroupTargetAssignmentMetadataKey():
                return f"target{gone}" if gone else f"target of epoch {value.assignment_epoch}"
            case ConsumerGroupTargetAssignmentMemberKey():
                held = gone or f" {self._named(assigned_from(value.topic_partitions))}"
                return f"target of {key.member_id}{gone or held}"
            case ConsumerGroupCurrentMemberAssignmentKey():
                if gone:
                    return f"current {key.member_id} forgotten"
                revoking = assigned_from(value.partitions_pending_revocation)
                gives = f" gives up {self._named(revoking)}" if revoking else ""
                return (
                    f"current {key.member_id} epoch={value.member_epoch} {MemberState(value.state).name}"
                    f" {self._named(assigned_from(value.assigned_partitions))}{gives}"
                )
            case ConsumerGroupRegularExpressionKey():
                return f"regex {key.regular_expression}{gone or ' ' + ','.join(value.topics)}"
        return _record(record)

    def _response_in_words(self, api: str, response: Any) -> str:
        match api:
            case "ConsumerGroupHeartbeat":
                if response.error_code:
                    return ErrorCode(response.error_code).name
                given = response.assignment
                held = "" if given is None else f" {self._named(assigned_from(given.topic_partitions))}"
                return f"epoch={response.member_epoch}{held}"
            case "ConsumerGroupDescribe":
                return _consumer_group(response.groups[0])
            case "ListGroups":
                return " ".join(
                    f"{one.group_id}:{one.group_type}:{one.group_state}" for one in response.groups
                )
            case "DeleteGroups":
                return _delete(response)
            case "DescribeGroups":
                return _describe(response)
            case "OffsetFetch":
                return _fetch(response)
        return super()._response_in_words(api, response)

    def _named(self, assigned: Assigned) -> str:
        return _shown(
            tuple(
                sorted(
                    TopicPartition(
                        self.sim.topics.topic_name(topic_id) or topic_id.decode().strip(), partition
                    )
                    for topic_id, partition in each(assigned)
                )
            )
        )


def _consumer_group(group: Any) -> str:
    if group.error_code:
        return f"{ErrorCode(group.error_code).name} {group.error_message!r}"
    members = "".join(
        f" {one.member_id}@{one.member_epoch}={_partitions(one.assignment)}"
        + (" (classic)" if one.member_type == 0 else "")
        for one in group.members
    )
    return f"{group.group_state} {group.group_epoch}/{group.assignment_epoch} {group.assignor_name}{members}"


def _partitions(assignment: Any) -> str:
    return _shown(
        tuple(
            TopicPartition(topic.topic_name, partition)
            for topic in assignment.topic_partitions
            for partition in topic.partitions
        )
    )
