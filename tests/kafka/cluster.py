"""A real Apache Kafka of three nodes on loopback, for what a client meets only where there is more than one.

Each node is broker and controller (KRaft), so any of them may be killed: the other two are a quorum. A broker that
says nothing for four seconds (Kafka's default: nine) loses its partitions to the others.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from confluent_kafka import ElectionType, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.kafka.ports import PATIENCE_S, free_ports, wait_until
from tests.kafka.server import PortTakenError, RealKafka, new_cluster_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from confluent_kafka.admin import ClusterMetadata, PartitionMetadata  # type: ignore[attr-defined]

JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

SMALL = {
    "log.cleaner.dedupe.buffer.size": "2097152",  # 128 MB by default
    "log.cleaner.threads": "1",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "1",
}
"""Three brokers on two cores."""

THREE = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "transaction.state.log.num.partitions": "3",
    "auto.create.topics.enable": "false",
    "auto.leader.rebalance.enable": "false",
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    "group.min.session.timeout.ms": "1000",
}
"""Leaders move when a node is gone or when a test says so, and otherwise never."""


class KafkaCluster:
    """Context manager: starts the nodes, waits until all take part, ends them.

    Nodes have the ids 1 to ``nodes``. ``config`` holds broker settings under Kafka's names and wins over those above.
    Everything lies in a temporary directory that goes with the cluster, unless ``directory`` is given. A node is a
    process group of its own that also ends when the test run does, however that ends.
    """

    def __init__(
        self, nodes: int = 3, config: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> None:
        self._config = {**SMALL, **THREE, **(config or {})}
        self._scratch = tempfile.TemporaryDirectory(prefix="rota-cluster-") if directory is None else None
        self._directory = directory or Path(self._scratch.name if self._scratch else "")
        self._cluster_id = new_cluster_id()
        self.ids: Sequence[int] = range(1, nodes + 1)
        self._nodes: dict[int, RealKafka] = {}
        self._admin: AdminClient | None = None

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every node. None is asked: they would spend their last seconds on handing over to each other."""
        self._admin = None
        for node in self._nodes.values():
            node.kill()
        if self._scratch is not None:
            self._scratch.cleanup()

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all nodes, by id, whether they run or not."""
        return ",".join(map(self.address, self.ids))

    def address(self, node: int) -> str:
        """Where this node listens, or did."""
        return self._nodes[node].bootstrap_servers

    def running(self) -> list[int]:
        """The nodes whose process is there."""
        return [number for number, node in self._nodes.items() if node.process is not None]

    # What is done to nodes

    def kill(self, node: int) -> None:
        """kill -9; the cluster notices when the node's session ends."""
        self._nodes[node].kill()

    def stop(self, node: int) -> None:
        """SIGTERM: it hands its partitions over before it goes."""
        self._nodes[node].stop()

    def start(self, node: int) -> None:
        """Start a node that was killed or stopped; returns when it listens (`heal` also waits for the rest)."""
        self._nodes[node].spawn()
        self._nodes[node].wait_listening()

    def heal(self, *, elect: bool = True) -> None:
        """Start every node that does not run; wait until all is well, and (``elect``) each partition led by its first
        replica.
        """
        for node in set(self.ids) - set(self.running()):
            self._nodes[node].spawn()
        for node in self.ids:
            self._nodes[node].wait_listening()
        self.wait_whole()
        if elect:
            self.elect_preferred()

    # What the cluster is like

    @property
    def admin(self) -> AdminClient:
        """A plain admin client to the whole cluster."""
        if self._admin is None:
            self._admin = self._new_admin()
        return self._admin

    def metadata(self) -> ClusterMetadata:
        """What the brokers say of topics and of each other."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.admin.list_topics(timeout=5)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise

    def leader(self, topic: str, partition: int) -> int:
        """Which node leads the partition; -1 if none does."""
        return int(self.metadata().topics[topic].partitions[partition].leader)

    def leaders(self, topic: str) -> dict[int, int]:
        """Which node leads each of its partitions."""
        return {number: part.leader for number, part in self.metadata().topics[topic].partitions.items()}

    def coordinator(self, group: str) -> int:
        """Which node coordinates the group, as the brokers themselves say."""
        return self.coordinators([group])[group]

    def coordinators(self, groups: Iterable[str]) -> dict[str, int]:
        """The same of many groups at once."""
        wanted = list(groups)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            admin = (
                self._new_admin()
            )  # librdkafka may crash when it finds a coordinator after the time is over
            futures = admin.describe_consumer_groups(wanted, request_timeout=PATIENCE_S)
            try:
                return {group: futures[group].result(5).coordinator.id for group in wanted}
            except (KafkaException, TimeoutError):
                if time.monotonic() > deadline:
                    raise

    def groups_at(self, node: int, stem: str, count: int = 1) -> list[str]:
        """Names of groups that this node coordinates."""
        names = [f"{stem}-{number}" for number in range(64 * count)]  # by chance none of 16 may be there
        found = [name for name, at in self.coordinators(names).items() if at == node]
        assert len(found) >= count, f"no {count} of {names} are coordinated by node {node}"
        return found[:count]

    def create_topic(
        self, name: str, replicas: Sequence[Sequence[int]], config: Mapping[str, str] | None = None
    ) -> str:
        """A topic whose partitions lie on these nodes, each led by the first of its own."""
        where = [list(nodes) for nodes in replicas]
        new = NewTopic(name, len(where), replica_assignment=where, config=dict(config or {}))
        self.admin.create_topics([new])[name].result(PATIENCE_S)

        def is_whole() -> bool:
            topic = self.metadata().topics.get(name)
            return (
                topic is not None
                and len(topic.partitions) == len(replicas)
                and _is_whole(topic.partitions.values())
            )

        wait_until(f"topic {name} is there", is_whole)
        return name

    # Waiting

    def wait_whole(self) -> None:
        """Wait until every node takes part and every partition is led and in sync on all of its replicas."""
        wait_until("every partition is in sync everywhere", self._is_whole)

    def wait_gone(self, node: int) -> None:
        """Wait until the others have given up a dead node and lead all that they can."""

        def is_gone() -> bool:
            found = self.metadata()
            parts = [part for topic in found.topics.values() for part in topic.partitions.values()]
            return (
                node not in found.brokers
                and all(part.leader != node for part in parts)
                and all(part.leader >= 0 for part in parts if set(part.replicas) != {node})
            )

        wait_until(f"node {node} is given up", is_gone)

    def elect_preferred(self, topic: str | None = None) -> None:
        """Give each partition, of all topics or of one, back to the first of its replicas."""
        wait_until("every partition is led by its first replica", lambda: self._elect(topic))

    # Underneath

    def _start_all(self) -> None:
        for attempt in range(3):
            self._prepare()
            try:
                for node in self._nodes.values():
                    node.spawn()
                for node in self._nodes.values():
                    node.wait_listening()
            except PortTakenError:
                for node in self._nodes.values():
                    node.kill()
                if attempt == 2:
                    raise
            else:
                break
        wait_until("all nodes take part", lambda: len(self.metadata().brokers) == len(self.ids))

    def _prepare(self) -> None:
        """Nodes on ports of their own, their storage formatted."""
        ports = free_ports(2 * len(self.ids))
        voters = ",".join(f"{number}@127.0.0.1:{ports[2 * number - 1]}" for number in self.ids)
        for number in self.ids:
            own = {"node.id": str(number), "controller.quorum.voters": voters}
            self._nodes[number] = RealKafka(
                {**own, **self._config},
                self._directory / f"node-{number}",
                jvm=JVM,
                ports=(ports[2 * number - 2], ports[2 * number - 1]),
                cluster_id=self._cluster_id,
            )
        with ThreadPoolExecutor(len(self.ids)) as pool:
            list(pool.map(RealKafka.prepare, self._nodes.values()))

    def _new_admin(self) -> AdminClient:
        patient = {"reconnect.backoff.max.ms": 500, "log_level": 0}
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, **patient})

    def _is_whole(self) -> bool:
        found = self.metadata()
        parts = (part for topic in found.topics.values() for part in topic.partitions.values())
        return len(found.brokers) == len(self.ids) and _is_whole(parts)

    def _elect(self, only: str | None) -> bool:
        wrong = [
            TopicPartition(name, number)
            for name, topic in self.metadata().topics.items()
            for number, part in topic.partitions.items()
            if part.leader != part.replicas[0] and only in {None, name}
        ]
        if wrong:
            try:
                self.admin.elect_leaders(ElectionType.PREFERRED, wrong).result(PATIENCE_S)
            except KafkaException:
                return False
        return not wrong


def _is_whole(parts: Iterable[PartitionMetadata]) -> bool:
    return all(part.leader >= 0 and set(part.isrs) == set(part.replicas) for part in parts)
