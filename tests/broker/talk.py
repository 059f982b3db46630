"""A conversation with a broker, in raw requests, written down so that two brokers' answers can be compared."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.broker.raw import RawClient
from tests.kafka.ports import PATIENCE_S

from rota.model import ErrorCode
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from rota.wire.schema import Message, Struct, Versions

__all__ = ["Talk", "plain"]

_M = TypeVar("_M", bound=Message)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT_UUID = re.compile(r"[\w-]{22}")

_TEXT = "<text>"
# What may differ between brokers; of a message for people only whether there is one is compared.
_OWN_WORDS = {"error_message", "batch_index_error_message", "documentation"}
# How the broker was started.
_OWN_CONFIGS = {
    *("advertised.listeners", "broker.id", "controller.listener.names", "controller.quorum.voters"),
    *("listener.security.protocol.map", "listeners", "log.dirs", "process.roles"),
    *("offsets.topic.replication.factor", "share.coordinator.state.topic.min.isr"),
    *("share.coordinator.state.topic.replication.factor", "transaction.state.log.min.isr"),
    "transaction.state.log.replication.factor",
}
_SORTED_BY = ("group_id", "api_key", "name", "topic", "topic_id", "index", "partition_index", "member_id")
_OWN_VALUES = {"cluster_id", "port", "log_append_time_ms", "session_id"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as what was asked, in which version, and the fields that are comparable."""

    asked: str
    version: int
    fields: Any


class Talk:
    """One connection. ``name`` is the case's; topics and groups are named after it."""

    def __init__(self, client: RawClient, name: str, address: str) -> None:
        self.client = client
        self.address = address
        self.name = name
        self.answers: list[Answer] = []

    def ask(self, request: Message, version: int, expected: type[_M]) -> _M:
        """Ask, write the answer down, and return it."""
        response = self.client.call(request, version, expected)
        self.note(request, version, response)
        return response

    def note(self, request: Message, version: int, response: Message) -> None:
        """Write an answer down."""
        self.answers.append(Answer(repr(request), version, plain(response)))

    def ask_in_all(
        self, request: Message, expected: type[_M], first: int | None = None, last: int | None = None
    ) -> None:
        """Ask the same in every version (from ``first`` to ``last``)."""
        declared: Versions = request.versions
        for version in range(
            declared.first if first is None else first, (declared.last if last is None else last) + 1
        ):
            self.ask(request, version, expected)

    # --- what a case needs before it asks; none of it is written down -----------------------------------------

    def topic(self, partitions: int = 1, *, suffix: str = "") -> str:
        """A new topic whose partitions answer."""
        name = f"{self.name}{suffix}"
        made = self.client.call(
            CreateTopicsRequest(
                topics=[CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)]
            ),
            5,
            CreateTopicsResponse,
        )
        assert made.topics[0].error_code == 0, made
        self.wait_for_leaders(name, partitions)
        return name

    def wait_for_leaders(self, name: str, partitions: int) -> None:
        """Wait until a topic's partitions answer."""
        ask = ListOffsetsRequest(
            replica_id=-1,
            topics=[
                ListOffsetsTopic(
                    name=name,
                    partitions=[
                        ListOffsetsPartition(partition_index=index, timestamp=-1)
                        for index in range(partitions)
                    ],
                )
            ],
        )
        self._until_good(
            lambda: [
                each.error_code for each in self.client.call(ask, 5, ListOffsetsResponse).topics[0].partitions
            ]
        )

    def topic_id(self, name: str) -> bytes:
        ask = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
        return self.client.call(ask, 12, MetadataResponse).topics[0].topic_id

    def produce(self, topic: str, batch: bytes | bytearray, partition: int = 0) -> None:
        request = ProduceRequest(
            acks=-1,
            timeout_ms=5_000,
            topic_data=[
                TopicProduceData(
                    name=topic, partition_data=[PartitionProduceData(index=partition, records=bytes(batch))]
                )
            ],
        )
        answer = self.client.call(request, 9, ProduceResponse)
        assert answer.responses[0].partition_responses[0].error_code == 0, answer

    def coordinator(self, group: str) -> None:
        """Wait until the broker answers for the group."""
        ask = FindCoordinatorRequest(coordinator_keys=[group])
        self._until_good(
            lambda: [
                each.error_code for each in self.client.call(ask, 4, FindCoordinatorResponse).coordinators
            ]
        )
        hello = HeartbeatRequest(group_id=group, member_id="nobody")
        self._until_good(
            lambda: [self.client.call(hello, 4, HeartbeatResponse).error_code != ErrorCode.UNKNOWN_MEMBER_ID]
        )

    def member(
        self,
        group: str,
        *,
        instance: str | None = None,
        protocol: str = "range",
        assignment: bytes = b"mine",
    ) -> str:
        """The only member of a new, stable group in generation 1; its id."""
        request = join(group, instance=instance, protocol=protocol)
        joined = self.client.call(request, 9, JoinGroupResponse)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            request.member_id = joined.member_id
            joined = self.client.call(request, 9, JoinGroupResponse)
        assert joined.error_code == 0, joined
        synced = self.client.call(
            SyncGroupRequest(
                group_id=group,
                generation_id=joined.generation_id,
                member_id=joined.member_id,
                group_instance_id=instance,
                protocol_type="consumer",
                protocol_name=protocol,
                assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=assignment)],
            ),
            5,
            SyncGroupResponse,
        )
        assert synced.error_code == 0, synced
        return joined.member_id

    def _until_good(self, codes: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while any(found := codes()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


def join(
    group: str,
    *,
    member: str = "",
    instance: str | None = None,
    protocol: str = "range",
    kind: str = "consumer",
    session_ms: int = 10_000,
) -> JoinGroupRequest:
    """A JoinGroup with one protocol."""
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_ms,
        rebalance_timeout_ms=10_000,
        member_id=member,
        group_instance_id=instance,
        protocol_type=kind,
        protocols=[JoinGroupRequestProtocol(name=protocol, metadata=SUBSCRIPTION)] if protocol else [],
    )


SUBSCRIPTION = struct.pack(">hih1si", 0, 1, 1, b"t", -1)


def plain(value: Any, name: str = "") -> Any:
    """A response as dictionaries, lists and values, without what only one broker can say."""
    if isinstance(value, Struct):
        fields = {field.name: plain(getattr(value, field.name), field.name) for field in value.fields}
        if value.unknown_tags:
            fields["unknown_tags"] = value.unknown_tags
        return fields
    if isinstance(value, list):
        # Kafka's order of groups and partitions is that of its hash tables.
        made = (plain(each, name) for each in value if getattr(each, "name", "") not in _OWN_CONFIGS)
        return sorted(made, key=_order)
    if isinstance(value, memoryview):
        return bytes(value)
    if name in _OWN_WORDS and value:
        return _TEXT
    if name in _OWN_VALUES and value not in {-1, 0, None, ""}:
        return f"<{name}>"
    if name == "topic_id" and any(value):
        return "<topic id>"
    if name == "member_id" and value and _SHORT_UUID.fullmatch(value):
        return "<uuid>"
    if isinstance(value, str):
        return _UUID.sub("<uuid>", value)
    return value


def _order(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict):
        return (str(value),)
    return (*(str(value[key]) for key in _SORTED_BY if key in value), repr(value))


def differences(ours: Any, theirs: Any, path: str = "") -> Iterable[str]:
    """Where two plain values are not alike, a line each."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != theirs and not (ours == _TEXT and theirs in {None, ""}):  # Rota may say more
        yield f"{path.lstrip('.')}: Rota {ours!r}, Kafka {theirs!r}"
