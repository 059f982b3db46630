"""``Cluster``: questions and orders to a Kafka cluster, each one call, each answered in bulk."""

from __future__ import annotations

import logging
import re
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicCollection
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from rota.cluster import convert
from rota.cluster.errors import ClusterError, Local, explain, unreachable
from rota.cluster.properties import client_properties, nearest
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from rota.cluster.descriptions import (
        BrokerNode,
        CommittedOffset,
        GroupDescription,
        GroupListing,
        TopicDescription,
    )

__all__ = ["DEFAULT_BOOTSTRAP", "Cluster"]

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
REFUSED_GRACE_S = 1.5
"""How long a refused connection is tried again: a broker that is just starting gets this much time."""

COORDINATOR_GRACE_S = 15.0
FIRST_ATTEMPT_S = 2.0
SEE_AGAIN_S = 0.05

_ADDRESS = re.compile(r"(\w+://)?(\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+)(:(?P<port>\d{1,5}))?")

_HOPELESS = frozenset({Local.AUTHENTICATION, Local.SSL, Local.RESOLVE})

_NOT_YET = frozenset({ClientError.UNKNOWN_TOPIC_OR_PART, ClientError.LEADER_NOT_AVAILABLE})
"""What brokers say of a topic that they have not learnt of."""

_NO_COORDINATOR_YET = frozenset(
    {
        ClientError.COORDINATOR_LOAD_IN_PROGRESS,
        ClientError.COORDINATOR_NOT_AVAILABLE,
        ClientError.NOT_COORDINATOR,
        Local.TIMED_OUT,
    }
)

_T = TypeVar("_T")

_quiet = logging.getLogger("rota.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Cluster:
    """One Kafka cluster. Making one connects to nothing; the first question does.

    ``properties`` are client properties under librdkafka's or Java's names (see ``client_properties``). Every
    question is answered or refused within about ``timeout_s``; whatever goes wrong is a ``RotaError``.
    """

    def __init__(
        self,
        bootstrap: str = DEFAULT_BOOTSTRAP,
        properties: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> None:
        if not all(map(_is_address, bootstrap.split(","))):
            raise RotaError(f"{bootstrap!r} is no broker's address: expected HOST:PORT[,…]", exit_code=2)
        self.bootstrap = bootstrap
        self.timeout_s = timeout_s
        self._properties = client_properties(properties or {})
        self._admin: AdminClient | None = None
        self._seen: list[ClientError] = []

    # The cluster

    def nodes(self) -> tuple[BrokerNode, ...]:
        """The brokers, by id."""
        answer = self._wait(
            self.admin.describe_cluster(request_timeout=self.timeout_s), "describe the cluster"
        )
        found = [broker for broker in map(convert.node, answer.nodes) if broker is not None]
        return tuple(sorted(found, key=lambda broker: broker.id))

    def cluster_id(self) -> str:
        """The cluster's own id."""
        answer = self._wait(
            self.admin.describe_cluster(request_timeout=self.timeout_s), "describe the cluster"
        )
        return str(answer.cluster_id)

    # Topics

    def topics(self) -> dict[str, int]:
        """Every topic and its number of partitions, by name."""
        try:
            metadata = self.admin.list_topics(timeout=self.timeout_s)
        except KafkaException as error:
            raise explain(error, f"list the topics at {self.bootstrap}") from None
        return {name: len(metadata.topics[name].partitions) for name in sorted(metadata.topics)}

    def describe_topics(
        self, names: Collection[str], *, configs: bool = True
    ) -> dict[str, TopicDescription | RotaError]:
        """Each named topic, or why not; two requests however many topics there are."""
        if not names:
            return {}
        order = sorted(set(names))
        futures = self.admin.describe_topics(TopicCollection(order), request_timeout=self.timeout_s)
        found = {name: self._try(futures[name], f"describe topic {name}") for name in order}
        values = self._configs([n for n in order if not isinstance(found[n], RotaError)]) if configs else {}
        return {
            name: answer
            if isinstance(answer, RotaError)
            else convert.topic_description(answer, values.get(name, ()))
            for name, answer in found.items()
        }

    def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        """How many partitions each of these topics has; an unknown topic is a ``RotaError`` that names it."""
        described = self.describe_topics(names, configs=False)
        counts: dict[str, int] = {}
        for name, answer in described.items():
            if is_missing(answer):
                hint = f"`rota topics create {name}` makes it, `rota topics list` shows the others"
                raise ClusterError(
                    f"topic {name} does not exist at {self.bootstrap}: {hint}",
                    ClientError.UNKNOWN_TOPIC_OR_PART,
                )
            if isinstance(answer, RotaError):
                raise answer
            counts[name] = len(answer.partitions)
        return counts

    def ask_missing(self, names: Collection[str]) -> Callable[[], set[str] | None]:
        """Begin to ask which of these topics are not there. The function gives the answer: None as long as it is
        under way; a topic about which nobody would say anything is not missing.
        """
        futures = self.admin.describe_topics(TopicCollection(sorted(names)), request_timeout=self.timeout_s)

        def answer() -> set[str] | None:
            if not all(future.done() for future in futures.values()):
                return None
            return {name for name, future in futures.items() if is_missing(self._try(future, "look"))}

        return answer

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = -1,
        replication_factor: int = -1,
        configs: Mapping[str, str] | None = None,
        if_not_exists: bool = False,
    ) -> bool:
        """Create one topic (-1 = the broker's default); false when it was there and ``if_not_exists``.

        Returns when the topic is seen, or after ``timeout_s``: Apache Kafka's controller answers first, and its
        brokers learn of a change afterwards. The same goes for the changes below.
        """
        new = NewTopic(name, partitions, replication_factor, config=dict(configs or {}))
        future = self.admin.create_topics([new], request_timeout=self.timeout_s)[name]
        try:
            self._result(future)
        except KafkaException as error:
            if if_not_exists and error.args[0].code() == ClientError.TOPIC_ALREADY_EXISTS:
                self._see(name, has_leaders)
                return False
            raise explain(error, f"create topic {name}") from None
        self._see(name, has_leaders)
        return True

    def delete_topics(self, names: Collection[str]) -> dict[str, RotaError | None]:
        """Delete topics; for each, None or why not."""
        if not names:
            return {}
        futures = self.admin.delete_topics(list(names), request_timeout=self.timeout_s)
        failures = {name: self._failure(futures[name], f"delete topic {name}") for name in names}
        for name, failure in failures.items():
            if failure is None:
                self._see(name, is_missing)
        return failures

    def add_partitions(self, name: str, total: int) -> None:
        """Raise a topic's number of partitions to ``total``; they can never be taken away again."""
        futures = self.admin.create_partitions([NewPartitions(name, total)], request_timeout=self.timeout_s)
        self._wait(futures[name], f"add partitions to topic {name}")
        self._see(name, lambda answer: has_leaders(answer, at_least=total))

    # Groups

    def groups(self) -> tuple[GroupListing, ...]:
        """Every group, by name, also those without members."""
        doing = f"list the groups at {self.bootstrap}"
        answer = self._wait(self.admin.list_consumer_groups(request_timeout=self.timeout_s), doing)
        if not answer.valid and answer.errors:
            raise explain(answer.errors[0], doing)
        found = [convert.group_listing(group) for group in answer.valid]
        unclear = [g.group for g in found if g.state == "Unknown" and g.type == "Consumer"]
        if unclear:
            described = self.describe_groups(unclear)
            found = [replace(g, state=described[g.group].state) if g.group in described else g for g in found]
        return tuple(sorted(found, key=lambda group: group.group))

    def describe_groups(self, groups: Collection[str]) -> dict[str, GroupDescription]:
        """State and members of each group; one that does not exist has ``exists`` false.

        A cluster that just started, or is asked about groups for the first time, needs a moment to find their
        coordinators; it gets it. librdkafka gives up that search after three tries and says nothing until the
        request times out, so it is asked several times, with more patience each time.
        """
        if not groups:
            return {}
        order = sorted(set(groups))
        deadline = time.monotonic() + COORDINATOR_GRACE_S
        attempt_s = FIRST_ATTEMPT_S
        while True:
            futures = self.admin.describe_consumer_groups(order, request_timeout=attempt_s)
            try:
                return {
                    group: convert.group_description(self._wait(futures[group], f"describe group {group}"))
                    for group in order
                }
            except ClusterError as error:
                left = deadline - time.monotonic()
                if error.code not in _NO_COORDINATOR_YET or left <= 0:
                    raise
            attempt_s = max(SEE_AGAIN_S, min(attempt_s * 2, self.timeout_s, left))
            time.sleep(SEE_AGAIN_S)

    def committed_offsets(self, group: str) -> dict[TopicPartition, CommittedOffset]:
        """Every offset the group has committed."""
        return self.committed_offsets_of([group])[group]

    def committed_offsets_of(
        self, groups: Collection[str]
    ) -> dict[str, dict[TopicPartition, CommittedOffset]]:
        """The committed offsets of many groups; the requests are all under way at once.

        The groups are described first: a coordinator that is not one (yet) is an error there, whereas librdkafka's
        ListConsumerGroupOffsets ends the whole process with a segmentation fault on NOT_COORDINATOR (its issue 5040).
        """
        self.describe_groups(groups)
        futures = {
            group: self.admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=self.timeout_s
            )[group]
            for group in groups
        }
        found: dict[str, dict[TopicPartition, CommittedOffset]] = {}
        for group, future in futures.items():
            answer = self._wait(future, f"read the offsets of group {group}")
            offsets = {
                TopicPartition(tp.topic, tp.partition): convert.committed(tp)
                for tp in answer.topic_partitions
            }
            found[group] = {tp: offset for tp, offset in sorted(offsets.items()) if offset is not None}
        return found

    # Offsets

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The next offset of each partition (the high watermark); None where nobody could say."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def start_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The first offset still kept of each partition; None where nobody could say."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    # Clients for those who read and write records

    def producer(self, properties: Mapping[str, Any]) -> Producer:
        """A producer to this cluster whose log goes nowhere; ``properties`` win over the cluster's own."""
        return self._client(lambda config: Producer(config, logger=_quiet), properties)

    def consumer(self, properties: Mapping[str, Any]) -> Consumer:
        """A consumer to this cluster whose log goes nowhere; ``properties`` win over the cluster's own."""
        return self._client(lambda config: Consumer(config, logger=_quiet), properties)

    def setting(self, name: str) -> str | None:
        """A client property that was given for all clients of this cluster, under librdkafka's name."""
        return self._properties.get(name)

    # Underneath

    @property
    def admin(self) -> AdminClient:
        """The connected admin client, for the few who need what is not offered here."""
        if self._admin is None:
            admin = self._client(
                lambda config: AdminClient(config, logger=_quiet), {"error_cb": self._seen.append}
            )
            self._connect(admin)
            self._admin = admin
        return self._admin

    def close(self) -> None:
        """Let go of the connections."""
        self._admin = None

    def _client(self, make: Callable[[dict[str, Any]], _T], properties: Mapping[str, Any]) -> _T:
        with _property_errors():
            return make({**self._properties, "bootstrap.servers": self.bootstrap, **properties})

    def _connect(self, admin: AdminClient) -> None:
        """Wait for one broker's answer; what cannot get better by waiting is said at once."""
        started = time.monotonic()
        future = admin.describe_cluster(request_timeout=self.timeout_s)
        while not future.done():
            admin.poll(0.02)
            waited = time.monotonic() - started
            codes = {error.code() for error in self._seen}
            refused = Local.ALL_BROKERS_DOWN in codes and waited > REFUSED_GRACE_S
            if refused or waited > self.timeout_s or codes & _HOPELESS:
                raise unreachable(self.bootstrap, self._seen)
        if future.exception() is not None:
            admin.poll(0)
            raise unreachable(self.bootstrap, self._seen)
        self._seen.clear()

    def _see(self, name: str, holds: Callable[[TopicDescription | RotaError], bool]) -> None:
        """Wait until this is what the brokers say of the topic; no longer than for an answer."""
        deadline = time.monotonic() + self.timeout_s
        while not holds(self.describe_topics([name], configs=False)[name]) and time.monotonic() < deadline:
            time.sleep(SEE_AGAIN_S)

    def _configs(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """The settings of each topic; none for one whose settings this user may not read."""
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self.admin.describe_configs(resources, request_timeout=self.timeout_s)
        found: dict[str, list[Any]] = {}
        for resource, future in futures.items():
            answer = self._try(future, f"read the settings of topic {resource.name}")
            found[resource.name] = [] if isinstance(answer, RotaError) else list(answer.values())
        return found

    def _offsets(
        self, partitions: Iterable[TopicPartition], spec: OffsetSpec
    ) -> dict[TopicPartition, int | None]:
        wanted = {ClientPartition(tp.topic, tp.partition): spec for tp in partitions}
        if not wanted:
            return {}
        futures = self.admin.list_offsets(wanted, request_timeout=self.timeout_s)
        found: dict[TopicPartition, int | None] = {}
        for asked, future in futures.items():
            answer = self._try(future, "read offsets")
            found[TopicPartition(asked.topic, asked.partition)] = (
                None if isinstance(answer, RotaError) else int(answer.offset)
            )
        return found

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result(self.timeout_s + 2)
        except FutureTimeoutError:
            raise KafkaException(ClientError(Local.TIMED_OUT)) from None

    def _wait(self, future: Future[Any], doing: str) -> Any:
        try:
            return self._result(future)
        except (KafkaException, ValueError, TypeError) as error:
            raise explain(error, doing) from None

    def _try(self, future: Future[Any], doing: str) -> Any:
        """The answer, or the ``RotaError`` itself."""
        try:
            return self._wait(future, doing)
        except RotaError as error:
            return error

    def _failure(self, future: Future[Any], doing: str) -> RotaError | None:
        answer = self._try(future, doing)
        return answer if isinstance(answer, RotaError) else None


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text.strip())
    return found is not None and (found["port"] is None or 1 <= int(found["port"]) <= 65535)


def is_missing(answer: TopicDescription | RotaError) -> bool:
    """Whether the brokers know no such topic."""
    return isinstance(answer, ClusterError) and answer.code == ClientError.UNKNOWN_TOPIC_OR_PART


def has_leaders(answer: TopicDescription | RotaError, *, at_least: int = 1) -> bool:
    """Whether a topic can be used: so many partitions, each with a leader. True too where nobody will say."""
    if isinstance(answer, RotaError):
        return not (isinstance(answer, ClusterError) and answer.code in _NOT_YET)
    return len(answer.partitions) >= at_least and all(part.leader is not None for part in answer.partitions)


@contextmanager
def _property_errors() -> Iterator[None]:
    """A property that librdkafka refuses is the user's to put right."""
    try:
        yield
    except KafkaException as error:
        text = " ".join(str(error.args[0].str()).split())
        if text.startswith("No such configuration property"):
            name = text.split('"')[1]
            raise RotaError(f"unknown client property {name}{nearest(name)}", exit_code=2) from None
        raise RotaError(f"client property: {text}", exit_code=2) from None
