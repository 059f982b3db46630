"""Stories of groups as text: what clients do, and everything that follows from it.

A story is a file of steps. A step is a command, a line ``----`` and what came of it; steps are separated by an
empty line, and ``#`` begins a comment. Times in brackets are milliseconds since the story began.

    join alice topics=orders
    ----
    [0] alice <- JoinGroup MEMBER_ID_REQUIRED member=alice-1
    [0] log: group generation=0 empty

A client's name is its client id; the story remembers the member id and generation that it was last told, so that
``sync alice`` sends what a real client would. ``alice <-`` is a response, ``!`` an event of the timeline, ``log:``
a record, ``group:`` a change of the group's state. Commands are the methods of ``Story`` called ``do_…``.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tests.coordinator.simulation import (
    Simulation,
    assignment_bytes,
    commit_request,
    join_request,
    subscription_bytes,
    sync_request,
)

from rota.coordinator import GroupConfig
from rota.coordinator.subscriptions import assigned_partitions
from rota.model import ErrorCode, TopicPartition
from rota.plain import replace
from rota.timeline.events import (
    MemberJoined,
    MemberLeft,
    MemberReconciled,
    OffsetCommitted,
    RebalanceCompleted,
    RebalanceStarted,
)
from rota.wire.messages.delete_groups import DeleteGroupsRequest
from rota.wire.messages.describe_groups import DescribeGroupsRequest
from rota.wire.messages.group_log import GroupMetadataKey, OffsetCommitKey
from rota.wire.messages.heartbeat import HeartbeatRequest
from rota.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup

GROUP = "g"


def run_story(story: Story, path: Path, *, rewrite: bool) -> None:
    """Run every step and compare what came of it with what the file says."""
    blocks: list[str] = []
    for block in path.read_text().strip("\n").split("\n\n"):
        head, _, expected = block.partition("\n----")
        lines = [line for line in head.splitlines() if line and not line.startswith("#")]
        if not lines:
            blocks.append(block)
            continue
        actual = story.run(lines)
        blocks.append(head + "\n----" + "".join(f"\n{line}" for line in actual))
        if not rewrite:
            assert actual == expected.strip("\n").splitlines(), f"{path.name}: after {lines}"
    if rewrite:
        path.write_text("\n\n".join(blocks) + "\n")


class Story:
    """One group, its clients by name, and what happened since the last step."""

    def __init__(self) -> None:
        self.sim = Simulation()
        self.start_ms = self.sim.now_ms
        self.members: dict[str, str] = {}
        self.generations: dict[str, int] = {}
        self.instances: dict[str, str] = {}
        self.asked: dict[int, tuple[str, str]] = {}
        self.lines: list[str] = []
        self.state = "none"
        carry_out = self.sim.carry_out

        def told(outcome: Any) -> None:
            logged = len(self.sim.log)
            carry_out(outcome)
            self._tell(self.sim.last, recorded=len(self.sim.log) > logged)

        self.sim.carry_out = told  # type: ignore[method-assign]

    def run(self, commands: list[str]) -> list[str]:
        self.lines = []
        for command in commands:
            verb, *words = shlex.split(command)
            names = [word for word in words if "=" not in word]
            options = dict(word.split("=", 1) for word in words if "=" in word)
            getattr(self, "do_" + verb)(*names, **options)
        return self.lines

    # --- commands -------------------------------------------------------------------------------------------

    def do_config(self, **options: str) -> None:
        """``initial_rebalance_delay_ms=0 max_size=2``: before anything else."""
        self.sim.config = replace(GroupConfig(), **{name: int(value) for name, value in options.items()})
        self.sim.coordinator = self.sim._coordinator()

    def do_join(
        self, name: str, *, v: str = "9", fresh: str = "", protocols: str = "range", **options: str
    ) -> None:
        """``fresh=yes`` forgets the member id, as a restarted process does."""
        if fresh:
            self.members.pop(name, None)
        if "instance" in options:
            self.instances[name] = options["instance"]
        topics = options.pop("topics", "orders").split(",")
        owned = _partitions(options.pop("owned")) if "owned" in options else None
        limits = ("session_ms", "rebalance_ms")
        numbers: dict[str, Any] = {key: int(options.pop(key)) for key in limits if key in options}
        subscription = subscription_bytes(topics, owned)
        request = join_request(
            GROUP,
            self.members.get(name, ""),
            protocols=[(protocol, subscription) for protocol in protocols.split(",")],
            instance=self.instances.get(name),
            reason=options.get("reason"),
            **numbers,
        )
        self._send(name, "JoinGroup", request, int(v))

    def do_rejoin(self, name: str, **options: str) -> None:
        """JoinGroup without a member id, and again with the id that comes back."""
        self.do_join(name, fresh="yes", **options)
        self.do_join(name, **options)

    def do_sync(
        self, name: str, *, v: str = "5", generation: str = "", protocol: str = "range", **plan: str
    ) -> None:
        """``sync alice alice=orders:0,1 bob=orders:2`` is a leader's."""
        assignments = {
            self.members.get(who, who): assignment_bytes(_partitions(what)) for who, what in plan.items()
        }
        request = sync_request(
            GROUP,
            self.members.get(name, ""),
            int(generation or self.generations.get(name, -1)),
            assignments,
            instance=self.instances.get(name),
            protocol=protocol,
        )
        self._send(name, "SyncGroup", request, int(v))

    def do_heartbeat(self, *names: str) -> None:
        for name in names:
            request = HeartbeatRequest(
                group_id=GROUP,
                member_id=self.members.get(name, ""),
                generation_id=self.generations.get(name, -1),
                group_instance_id=self.instances.get(name),
            )
            self._send(name, "Heartbeat", request, 4)

    def do_leave(self, *names: str, reason: str | None = None, instance: str | None = None) -> None:
        """Several names are one request; ``instance=…`` removes by instance id, as an administrator does."""
        members = [MemberIdentity(member_id=self.members.get(name, name), reason=reason) for name in names]
        if instance is not None:
            members += [
                MemberIdentity(member_id="", group_instance_id=one, reason=reason)
                for one in instance.split(",")
            ]
        request = LeaveGroupRequest(group_id=GROUP, members=members)
        self._send(names[0] if names else "admin", "LeaveGroup", request, 5)

    def do_commit(self, name: str, **offsets: str) -> None:
        """``commit alice orders:0=17``."""
        parsed = {}
        for where, offset in offsets.items():
            topic, partition = where.split(":")
            parsed[TopicPartition(topic, int(partition))] = int(offset)
        request = commit_request(
            parsed,
            self.members.get(name, ""),
            self.generations.get(name, -1),
            instance=self.instances.get(name),
        )
        self._send(name, "OffsetCommit", request, 9)

    def do_fetch(self, name: str) -> None:
        """Everything the group has committed."""
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=GROUP, topics=None)])
        self._send(name, "OffsetFetch", request, 9)

    def do_describe(self) -> None:
        self._send("admin", "DescribeGroups", DescribeGroupsRequest(groups=[GROUP]), 6)

    def do_delete(self) -> None:
        self._send("admin", "DeleteGroups", DeleteGroupsRequest(groups_names=[GROUP]), 2)

    def do_wait(self, ms: str) -> None:
        self.sim.advance(int(ms))

    def do_beat(self, ms: str, *names: str, every: str = "2000") -> None:
        """Time passes while these clients send heartbeats; only errors are shown."""
        until_ms = self.sim.now_ms + int(ms)
        while self.sim.now_ms < until_ms:
            self.sim.advance(min(int(every), until_ms - self.sim.now_ms))
            before = self.lines[:]
            self.do_heartbeat(*names)
            added = self.lines[len(before) :]
            self.lines = before + [line for line in added if not line.endswith("Heartbeat NONE")]

    def do_restart(self) -> None:
        """kill -9 of the broker, and its next start."""
        self.asked.clear()
        self.sim.restart()

    def do_expire(self, name: str) -> None:
        self.sim.carry_out(self.sim.coordinator.expire_session(GROUP, self.members[name], self.sim.now_ms))

    def do_rebalance(self, text: str) -> None:
        self.sim.carry_out(self.sim.coordinator.force_rebalance(GROUP, text, self.sim.now_ms))

    def do_add_partitions(self, topic: str, count: str) -> None:
        self.sim.topics[topic] = int(count)
        self.sim.carry_out(self.sim.coordinator.topic_changed(topic, self.sim.now_ms))

    def do_disk(self, how: str) -> None:
        """``disk full``: appends fail; ``disk ok``."""
        self.sim.fail_appends = how == "full"

    def do_cleanup(self) -> None:
        self.sim.carry_out(self.sim.coordinator.expire_offsets(self.sim.now_ms))

    # --- telling --------------------------------------------------------------------------------------------

    def _send(self, name: str, api: str, request: Any, version: int) -> None:
        self.asked[self.sim._tokens + 1] = (name, api)
        self.sim.send(request, version, client_id=name)

    def _say(self, line: str) -> None:
        self.lines.append(f"[{self.sim.now_ms - self.start_ms}] {line}")

    def _tell(self, outcome: Any, *, recorded: bool) -> None:
        for event in outcome.events:
            text = _event(event)
            if text:
                self._say(f"! {text}")
        for record in outcome.records if recorded else ():
            self._say(f"log: {self._record_in_words(record)}")
        state = self._group_in_words()
        for reply in outcome.replies:
            name, api = self.asked.pop(reply.token)
            self._learn(name, api, reply.response)
            self._say(f"{name} <- {api} {self._response_in_words(api, reply.response)}")
        if state != self.state:
            self.state = state
            self._say(f"group: {state}")

    def _group_in_words(self) -> str:
        group = self.sim.coordinator.groups.get(GROUP)
        return "none" if group is None else f"{group.state.value} generation={group.generation}"

    def _record_in_words(self, record: Any) -> str:
        return _record(record)

    def _response_in_words(self, api: str, response: Any) -> str:
        return _response(api, response)

    def _learn(self, name: str, api: str, response: Any) -> None:
        if api != "JoinGroup":
            return
        if response.error_code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
            self.members[name] = response.member_id
        if response.error_code == ErrorCode.NONE:
            self.generations[name] = response.generation_id


def _partitions(text: str) -> dict[str, list[int]]:
    """``orders:0,1+payments:0``."""
    parts: dict[str, list[int]] = {}
    for part in filter(None, text.split("+")):
        topic, _, numbers = part.partition(":")
        parts[topic] = [int(number) for number in numbers.split(",") if number]
    return parts


def _shown(partitions: tuple[TopicPartition, ...]) -> str:
    return ",".join(map(str, partitions)) or "nothing"


def _event(event: object) -> str:
    match event:
        case RebalanceStarted():
            detail = f" ({event.detail})" if event.detail else ""
            return f"rebalance of generation {event.generation}: {event.reason} {event.member or '-'}{detail}"
        case RebalanceCompleted():
            held = " ".join(f"{member}={_shown(parts)}" for member, parts in event.assignment.items())
            return f"generation {event.generation} protocol={event.protocol} leader={event.leader}: {held or 'empty'}"
        case MemberJoined():
            instance = f" instance={event.instance_id}" if event.instance_id else ""
            return f"{event.member} is a member{instance}"
        case MemberLeft():
            detail = f" ({event.detail})" if event.detail else ""
            return f"{event.member} is out: {event.reason}{detail}"
        case MemberReconciled():
            return f"{event.member} holds {_shown(event.partitions)} in epoch {event.epoch}"
        case OffsetCommitted():
            return ""
    raise AssertionError(event)


def _record(record: Any) -> str:
    key, value = record
    match key:
        case OffsetCommitKey():
            what = "forgotten" if value is None else str(value.offset)
            return f"offset {key.topic}-{key.partition} {what}"
        case GroupMetadataKey():
            if value is None:
                return "group forgotten"
            members = " ".join(member.member_id for member in value.members) or "empty"
            return f"group generation={value.generation} {members}"
    raise AssertionError(record)


def _response(api: str, response: Any) -> str:
    if api in ("JoinGroup", "SyncGroup", "Heartbeat"):
        code = ErrorCode(response.error_code)
        if api == "Heartbeat" or (code != ErrorCode.NONE and api == "SyncGroup"):
            return code.name
        if api == "SyncGroup":
            return _shown(assigned_partitions(response.assignment))
        if code == ErrorCode.NONE:
            members = " ".join(member.member_id for member in response.members)
            skip = " skip_assignment" if response.skip_assignment else ""
            return (
                f"generation={response.generation_id} protocol={response.protocol_name} member={response.member_id}"
                f" leader={response.leader}{skip}" + (f" members=[{members}]" if members else "")
            )
        return f"{code.name} member={response.member_id or '-'}"
    return _RESPONSES[api](response)


def _leave(response: Any) -> str:
    if response.error_code:
        return ErrorCode(response.error_code).name
    return " ".join(
        f"{one.member_id or one.group_instance_id}={ErrorCode(one.error_code).name}"
        for one in response.members
    )


def _commit(response: Any) -> str:
    return " ".join(
        f"{topic.name}-{one.partition_index}={ErrorCode(one.error_code).name}"
        for topic in response.topics
        for one in topic.partitions
    )


def _fetch(response: Any) -> str:
    return (
        " ".join(
            f"{topic.name}-{one.partition_index}={one.committed_offset}"
            for topic in response.groups[0].topics
            for one in topic.partitions
        )
        or "nothing"
    )


def _describe(response: Any) -> str:
    group = response.groups[0]
    if group.error_code:
        return f"{ErrorCode(group.error_code).name} {group.group_state} {group.error_message!r}"
    members = "".join(
        f" {one.member_id}={_shown(assigned_partitions(one.member_assignment))}" for one in group.members
    )
    return f"{group.group_state} type={group.protocol_type!r} protocol={group.protocol_data!r}{members}"


def _delete(response: Any) -> str:
    return " ".join(ErrorCode(result.error_code).name for result in response.results)


_RESPONSES = {
    "LeaveGroup": _leave,
    "OffsetCommit": _commit,
    "OffsetFetch": _fetch,
    "DescribeGroups": _describe,
    "DeleteGroups": _delete,
}
