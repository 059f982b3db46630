"""What the client tests do with a broker: make topics and records, start members, look at groups from
outside.
"""

import itertools
import json
import struct
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewPartitions, NewTopic
from tests.clients.kinds import THREAD_MEMBERS, new_member
from tests.clients.member import Member, MemberConfig, Partition, ThreadMember
from tests.clients.process import ProcessMember, PythonProcessMember
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.kafka.tools import KafkaTools

OFFSETS_TOPIC = "__consumer_offsets"


class Broker(Protocol):
    """What a test may ask of the broker under test; `kind` is rota or kafka."""

    kind: str
    bootstrap_servers: str

    @property
    def data_dir(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class MemberView:
    member_id: str
    client_id: str
    host: str
    instance_id: str | None
    partitions: frozenset[Partition]


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as DescribeGroups tells it; `members` by client id."""

    state: str
    strategy: str
    members: Mapping[str, MemberView]

    def sizes(self) -> list[int]:
        """How many partitions each member has, most first."""
        return sorted((len(member.partitions) for member in self.members.values()), reverse=True)


class Desk:
    """One test's view of the broker: names are unique, and whatever it started is stopped at the end."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.bootstrap_servers = broker.bootstrap_servers
        self.reconnect()
        self.tools = KafkaTools(broker.bootstrap_servers)
        self._members: list[Member] = []
        self._numbers = itertools.count(1)
        self._run = uuid.uuid4().hex[:8]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            if isinstance(member, ThreadMember):
                member.stopping.set()  # all at once, so that their last polls pass together
        for member in reversed(self._members):
            with suppress(AssertionError):
                member.stop()

    def reconnect(self) -> None:
        """A new admin client: librdkafka's may wait for ever for answers once its broker was restarted."""
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    # names, topics, records

    def name(self, hint: str) -> str:
        return f"{hint}-{self._run}-{next(self._numbers)}"

    def topic(self, hint: str = "topic", partitions: int = 5, config: Mapping[str, str] | None = None) -> str:
        """A new topic, ready for produce and fetch (Apache Kafka answers before its leaders are in place)."""
        name = self.name(hint)
        self.admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))])[name].result(
            PATIENCE_S
        )
        self.wait_topic(name, partitions)
        return name

    def wait_topic(self, name: str, partitions: int) -> None:
        def ready() -> bool:
            try:
                known = self.admin.list_topics(name, timeout=10).topics[name].partitions
                return len(known) == partitions == len(self.end_offsets(name, known))
            except KafkaException:
                return False

        wait_until(f"topic {name} has {partitions} leaders", ready)

    def add_partitions(self, topic: str, total: int) -> None:
        self.admin.create_partitions([NewPartitions(topic, total)])[topic].result(PATIENCE_S)
        self.wait_topic(topic, total)

    def end_offsets(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        request = {TopicPartition(topic, partition): latest for partition in partitions}
        futures = self.admin.list_offsets(
            request, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=10
        )
        return {partition.partition: future.result(15).offset for partition, future in futures.items()}

    def produce(self, topic: str, per_partition: int, partitions: int = 5, first: int = 0) -> list[Partition]:
        """`per_partition` records with values first, first+1, … in each partition; waits for the
        acknowledgements.
        """
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "linger.ms": 0, "log_level": 0})
        failures: list[object] = []
        for partition in range(partitions):
            for number in range(first, first + per_partition):
                producer.produce(
                    topic,
                    str(number).encode(),
                    key=f"{partition}-{number}".encode(),
                    partition=partition,
                    on_delivery=lambda error, _: failures.append(error) if error else None,
                )
        assert producer.flush(PATIENCE_S) == 0
        assert not failures
        return [(topic, partition) for partition in range(partitions)]

    # members

    def member(
        self, client: str, group: str, topics: str | tuple[str, ...], client_id: str = "", **settings: object
    ) -> Member:
        """Start a member of the group; `settings` as MemberConfig."""
        member = new_member(self._config(client, group, topics, client_id, settings))
        return self._started(member)

    def process_member(
        self, client: str, group: str, topics: str | tuple[str, ...], client_id: str = "", **settings: object
    ) -> ProcessMember:
        """The same in a process of its own, which can be killed."""
        config = self._config(client, group, topics, client_id, settings)
        member = PythonProcessMember(config) if client in THREAD_MEMBERS else new_member(config)
        assert isinstance(member, ProcessMember)
        self._started(member)
        return member

    def _config(
        self,
        client: str,
        group: str,
        topics: str | tuple[str, ...],
        client_id: str,
        settings: Mapping[str, object],
    ) -> MemberConfig:
        return MemberConfig(
            client=client,
            bootstrap_servers=self.bootstrap_servers,
            group=group,
            topics=(topics,) if isinstance(topics, str) else topics,
            client_id=client_id or f"{client}-{next(self._numbers)}",
            **settings,  # type: ignore[arg-type]
        )

    def _started(self, member: Member) -> Member:
        self._members.append(member)
        member.start()
        return member

    # groups from outside

    def describe(self, group: str) -> GroupView:
        found = self.admin.describe_consumer_groups([group], request_timeout=10)[group].result(15)
        members = {
            member.client_id: MemberView(
                member.member_id,
                member.client_id,
                member.host,
                member.group_instance_id,
                frozenset((tp.topic, tp.partition) for tp in member.assignment.topic_partitions),
            )
            for member in found.members
        }
        return GroupView(found.state.name, found.partition_assignor, members)

    def wait_stable(
        self,
        group: str,
        clients: Iterable[Member],
        partitions: Iterable[Partition],
        timeout_s: float = PATIENCE_S,
        *,
        sizes: list[int] | None = None,
    ) -> GroupView:
        """Wait until the group is stable with just these members, every partition has one owner, and the
        clients agree; with ``sizes``, until they hold so many each, for there may be a generation before that.
        """
        members = list(clients)
        wanted = frozenset(partitions)
        view = GroupView("", "", {})

        def settled() -> bool:
            nonlocal view
            with suppress(KafkaException):  # the coordinator may still be loading
                view = self.describe(group)
            held = [partition for member in view.members.values() for partition in member.partitions]
            return (
                view.state == "STABLE"
                and (sizes is None or view.sizes() == sizes)
                and view.members.keys() == {member.name for member in members}
                and len(held) == len(wanted)
                and frozenset(held) == wanted
                and all(member.owned == view.members[member.name].partitions for member in members)
            )

        try:
            wait_until(f"{group} is stable with {len(members)} members", settled, timeout_s, every_s=0.1)
        except TimeoutError as late:
            late.add_note(f"{view}\n" + "\n".join(f"{m.name}: {m.events[-6:]}" for m in members))
            raise
        return view

    def committed(self, group: str) -> dict[Partition, int]:
        """Committed offsets of a group as an outsider reads them.

        The group is described first, which fails while there is no coordinator; there ListConsumerGroupOffsets
        would end this process (librdkafka's issue 5040).
        """
        self.describe(group)
        request = [ConsumerGroupTopicPartitions(group)]
        answer = self.admin.list_consumer_group_offsets(request, request_timeout=10)[group].result(15)
        return {(tp.topic, tp.partition): tp.offset for tp in answer.topic_partitions if tp.offset >= 0}

    def wait_committed(
        self, group: str, expected: Mapping[Partition, int], timeout_s: float = PATIENCE_S
    ) -> None:
        """Wait until just these offsets are committed; errors while the broker is away do not matter."""
        last: object = None

        def reached() -> bool:
            nonlocal last
            try:
                last = self.committed(group)
            except KafkaException as error:
                last = error
            return last == expected

        try:
            wait_until(f"{group} has committed {sorted(expected.items())}", reached, timeout_s)
        except TimeoutError as late:
            late.add_note(f"last answer: {last}")
            raise

    def generations(self, group: str) -> list[int]:
        """Every generation recorded for a classic group, oldest first; -1 for the record that deletes it."""
        return [_generation(value) for value in self._group_records(group)]

    def generation(self, group: str) -> int:
        return self.generations(group)[-1]

    def _group_records(self, group: str) -> list[bytes | None]:
        partition = TopicPartition(OFFSETS_TOPIC, coordinator_partition(group), 0)
        wanted = struct.pack(">hh", 2, len(group.encode())) + group.encode()
        found: list[bytes | None] = []
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "not-used",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([partition])
            while (message := consumer.poll(PATIENCE_S)) is not None and message.error() is None:
                if message.key() == wanted:
                    value = message.value()
                    found.append(value.encode() if isinstance(value, str) else value)
        finally:
            consumer.close()
        assert message is not None, f"{OFFSETS_TOPIC} does not answer"
        return found


def coordinator_partition(group: str, partitions: int = 50) -> int:
    """The partition of __consumer_offsets that holds a group: Java's String.hashCode, modulo."""
    code = 0
    for unit in struct.unpack(f">{len(group.encode('utf-16-be')) // 2}H", group.encode("utf-16-be")):
        code = (31 * code + unit) & 0xFFFFFFFF
    signed = code - (1 << 32) if code >= 1 << 31 else code
    return (0 if signed == -(1 << 31) else abs(signed)) % partitions


def _generation(value: bytes | None) -> int:
    if value is None:
        return -1
    (version,) = struct.unpack_from(">h", value)
    if version >= 4:  # flexible: the protocol type is a compact string
        start = 3 + value[2] - 1
    else:
        (length,) = struct.unpack_from(">h", value, 2)
        start = 4 + max(length, 0)
    return int(struct.unpack_from(">i", value, start)[0])


def json_objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that a tool printed, one after another, on lines of their own or not."""
    found: list[dict[str, Any]] = []
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        value, end = decoder.raw_decode(text, start)
        found.append(value)
        start = text.find("{", end)
    return found
