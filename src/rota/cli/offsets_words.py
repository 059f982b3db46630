"""The records of ``__consumer_offsets`` in words: which group, what kind of record, and what it says.

A record is a change: a value replaces what the key had before, and no value (a tombstone) forgets it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rota.coordinator import LogRecord
from rota.model import number_runs
from rota.wire import WireError
from rota.wire.codec import decode_versioned
from rota.wire.messages.consumer_protocol import ConsumerProtocolAssignment
from rota.wire.messages.group_log import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMetadataKey,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
)
from rota.wire.schema import Message

__all__ = ["Words", "words_of"]

TopicNames = Mapping[bytes, str]
"""Topic ids (16 bytes) and the names that are known."""

_STATES = {0: "stable", 1: "has to give up partitions", 2: "waits for partitions of others"}


class Words(NamedTuple):
    """One record: the group, ``commit``, ``group``, ``member``, …, and the rest of the line."""

    group: str
    kind: str
    text: str


def words_of(record: LogRecord, names: TopicNames) -> Words:
    """What a record says."""
    key: Any = record.key
    group = getattr(key, "group", None)
    kind, tell, forgotten = _KINDS[type(key)]
    text = forgotten(key) if record.value is None else tell(key, record.value, names)
    return Words(key.group_id if group is None else group, kind, text)


# --- offsets and classic groups -----------------------------------------------------------------------------


def _commit(key: Any, value: Any, _names: TopicNames) -> str:
    parts = [f"{key.topic}-{key.partition} at {value.offset}"]
    if value.metadata:
        parts.append(f"metadata {json.dumps(value.metadata, ensure_ascii=False)}")
    if value.expire_timestamp > 0:
        parts.append(f"until {value.expire_timestamp}")
    return ", ".join(parts)


def _classic_group(_key: Any, value: GroupMetadataValue, _names: TopicNames) -> str:
    about = [f"generation {value.generation}"]
    if not value.members:
        return f"{about[0]}, no members"
    if value.protocol:
        about.append(value.protocol)
    if value.leader:
        about.append(f"led by {value.leader}")
    count = len(value.members)
    members = "; ".join(_classic_member(member, value.protocol_type) for member in value.members)
    return f"{', '.join(about)}; {count} member{'s' if count > 1 else ''}: {members}"


def _classic_member(member: Any, protocol_type: str) -> str:
    name = member.member_id
    if member.group_instance_id is not None:
        name += f" (static: {member.group_instance_id})"
    return f"{name} {_classic_assignment(member.assignment, protocol_type)}"


def _classic_assignment(data: bytes, protocol_type: str) -> str:
    if not data:
        return "has nothing yet"
    if protocol_type == "consumer":
        try:
            assignment = decode_versioned(ConsumerProtocolAssignment, data)
        except WireError:
            pass
        else:
            return _holds((each.topic, each.partitions) for each in assignment.assigned_partitions)
    return f"has {len(data)} bytes"


def _holds(topics: Iterable[tuple[str, Sequence[int]]]) -> str:
    pieces = [f"{topic} {', '.join(number_runs(partitions))}" for topic, partitions in topics if partitions]
    return f"has {'; '.join(pieces)}" if len(pieces) < 2 else f"has ({'; '.join(pieces)})"


# --- consumer groups (KIP-848) ------------------------------------------------------------------------------


def _epoch(_key: Any, value: Any, _names: TopicNames) -> str:
    return f"epoch {value.epoch}"


def _known_topics(_key: Any, value: Any, _names: TopicNames) -> str:
    return "topics " + ", ".join(f"{each.topic_name} ({each.num_partitions})" for each in value.topics)


def _member(key: Any, value: Any, _names: TopicNames) -> str:
    parts = [f"{key.member_id} of {value.client_id} at {value.client_host}"]
    if value.instance_id is not None:
        parts.append(f"static: {value.instance_id}")
    if value.subscribed_topic_names:
        parts.append(f"wants {', '.join(value.subscribed_topic_names)}")
    if value.subscribed_topic_regex:
        parts.append(f"wants what matches {value.subscribed_topic_regex}")
    if value.server_assignor:
        parts.append(f"by {value.server_assignor}")
    if value.classic_member_metadata is not None:
        parts.append("speaks the classic protocol")
    return ", ".join(parts)


def _target_epoch(_key: Any, value: Any, _names: TopicNames) -> str:
    return f"assignment of epoch {value.assignment_epoch}"


def _target(key: Any, value: Any, names: TopicNames) -> str:
    return f"{key.member_id} {_by_id(value.topic_partitions, names)}".replace(" has ", " is to have ", 1)


def _current(key: Any, value: Any, names: TopicNames) -> str:
    parts = [
        f"{key.member_id} at epoch {value.member_epoch}, {_STATES.get(value.state, f'state {value.state}')}",
        _by_id(value.assigned_partitions, names),
    ]
    if value.partitions_pending_revocation:
        parts.append(_by_id(value.partitions_pending_revocation, names).replace("has", "gives up", 1))
    return ", ".join(parts)


def _by_id(topics: Sequence[Any], names: TopicNames) -> str:
    if not any(each.partitions for each in topics):
        return "has no partition"
    return _holds((_name(each.topic_id, names), each.partitions) for each in topics)


def _name(topic_id: bytes, names: TopicNames) -> str:
    return names.get(bytes(topic_id)) or base64.urlsafe_b64encode(topic_id).decode().rstrip("=")


def _pattern(key: Any, value: Any, _names: TopicNames) -> str:
    return f"{key.regular_expression} matches {', '.join(value.topics) or 'nothing'}"


# --- what it is called --------------------------------------------------------------------------------------

_Tell = Callable[[Any, Any, TopicNames], str]
_Forgotten = Callable[[Any], str]


def _of_member(text: str) -> _Forgotten:
    return lambda key: f"{key.member_id} {text}"


_KINDS: Mapping[type[Message], tuple[str, _Tell, _Forgotten]] = {
    OffsetCommitKey: ("commit", _commit, lambda key: f"{key.topic}-{key.partition} forgotten"),
    GroupMetadataKey: ("group", _classic_group, lambda _key: "deleted"),
    ConsumerGroupMetadataKey: ("group", _epoch, lambda _key: "deleted"),
    ConsumerGroupPartitionMetadataKey: ("group", _known_topics, lambda _key: "topics forgotten"),
    ConsumerGroupMemberMetadataKey: ("member", _member, _of_member("is gone")),
    ConsumerGroupTargetAssignmentMetadataKey: ("target", _target_epoch, lambda _key: "assignment deleted"),
    ConsumerGroupTargetAssignmentMemberKey: ("target", _target, _of_member("is to have nothing")),
    ConsumerGroupCurrentMemberAssignmentKey: ("current", _current, _of_member("has nothing")),
    ConsumerGroupRegularExpressionKey: (
        "pattern",
        _pattern,
        lambda key: f"{key.regular_expression} is nobody's any more",
    ),
}
