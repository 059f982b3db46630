"""``Cluster``: questions and orders to a Kafka cluster, each one call, each answered in bulk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicCollection
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from rota.cluster import convert
from rota.cluster.commands import create_topic, list_topics
from rota.cluster.connection import NEVER_S, SEE_AGAIN_S, Connection, is_moving
from rota.cluster.errors import ClusterError, CoordinatorAwayError, Local, explain
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from rota.cluster.descriptions import (
        CommittedOffset,
        GroupDescription,
        TopicDescription,
    )

__all__ = ["DEFAULT_BOOTSTRAP", "Cluster"]

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
ASKS_FOR_A_LEADER = 4
"""How often, within a second, a partition without a leader is asked about again: it may just be getting one."""

_NOT_YET = frozenset({ClientError.UNKNOWN_TOPIC_OR_PART, ClientError.LEADER_NOT_AVAILABLE})
"""What brokers say of a topic that they have not learnt of."""


class Cluster(Connection):
    """One Kafka cluster. Making one connects to nothing; the first question does.

    ``properties`` are client properties under librdkafka's or Java's names (see ``client_properties``). Every question
    is answered or refused within about ``timeout_s``, or half as long again where a broker's successor is waited for;
    whatever goes wrong is a ``RotaError``.
    """

    def __init__(
        self,
        bootstrap: str = DEFAULT_BOOTSTRAP,
        properties: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__(bootstrap, properties or {}, timeout_s)

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

    def known_topics(self, names: Collection[str]) -> dict[str, TopicDescription]:
        """These topics, without their settings; an unknown topic is a ``RotaError`` that names it."""
        found: dict[str, TopicDescription] = {}
        for name, answer in self.describe_topics(names, configs=False).items():
            if is_missing(answer):
                make, others = create_topic(name, self.bootstrap), list_topics(self.bootstrap)
                hint = f"`{make}` makes it, `{others}` shows the others"
                raise ClusterError(
                    f"topic {name} does not exist at {self.bootstrap}: {hint}",
                    ClientError.UNKNOWN_TOPIC_OR_PART,
                )
            if isinstance(answer, RotaError):
                raise answer
            found[name] = answer
        return found

    def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        """How many partitions each of these topics has; an unknown topic is a ``RotaError`` that names it."""
        return {name: len(topic.partitions) for name, topic in self.known_topics(names).items()}

    def ask_topics(
        self, names: Collection[str]
    ) -> Callable[[], dict[str, TopicDescription | RotaError] | None]:
        """Begin to ask about these topics. The function gives the answers: None as long as they are under way."""
        futures = self.admin.describe_topics(TopicCollection(sorted(names)), request_timeout=self.timeout_s)

        def answer() -> dict[str, TopicDescription | RotaError] | None:
            if not all(future.done() for future in futures.values()):
                return None
            found = {name: self._try(future, f"describe topic {name}") for name, future in futures.items()}
            return {
                name: each if isinstance(each, RotaError) else convert.topic_description(each)
                for name, each in found.items()
            }

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

    def describe_groups(self, groups: Collection[str]) -> dict[str, GroupDescription]:
        """State and members of each group; one that does not exist has ``exists`` false."""
        found: dict[str, GroupDescription] = {}
        for group, answer in self.try_describe_groups(groups).items():
            if isinstance(answer, RotaError):
                raise answer
            found[group] = answer
        return found

    def try_describe_groups(self, groups: Collection[str]) -> dict[str, GroupDescription | RotaError]:
        """The same, with the error in the place of a group whose coordinator gives no answer.

        A cluster that just started, is asked about groups for the first time, or has lost a broker needs a moment to
        find coordinators; it gets it. librdkafka gives up that search after three tries and says nothing until the
        request times out, so it is asked several times, with more patience each time.
        """
        found: dict[str, GroupDescription | RotaError] = {}
        left = order = sorted(set(groups))
        for attempt_s in self._attempts() if order else ():
            # One by one: librdkafka asks one by one too, but answers when it has all answers.
            futures = {
                group: self.admin.describe_consumer_groups([group], request_timeout=NEVER_S)[group]
                for group in left
            }
            until = time.monotonic() + attempt_s
            for group in left:
                left_s = max(until - time.monotonic(), SEE_AGAIN_S)
                answer = self._try(futures[group], f"describe group {group}", left_s)
                found[group] = answer if isinstance(answer, RotaError) else convert.group_description(answer)
            left = [group for group in left if is_moving(found[group])]
            if not left:
                break
        for group in left:
            answer = found[group]
            code = answer.code if isinstance(answer, ClusterError) else Local.TIMED_OUT
            found[group] = CoordinatorAwayError([group], self.bootstrap, code)
        return {group: found[group] for group in order}

    def committed_offsets(self, group: str) -> dict[TopicPartition, CommittedOffset]:
        """Every offset the group has committed."""
        return self.committed_offsets_of([group])[group]

    def committed_offsets_of(
        self, groups: Collection[str]
    ) -> dict[str, dict[TopicPartition, CommittedOffset]]:
        """The committed offsets of many groups; the requests are all under way at once.

        The groups are described first: a coordinator that is not one (yet) is an error there, whereas librdkafka's
        ListConsumerGroupOffsets ends the whole process with a segmentation fault on NOT_COORDINATOR. One that moves in
        the milliseconds between the two is not guarded against.
        """
        found: dict[str, dict[TopicPartition, CommittedOffset]] = {}
        left = list(groups)
        for attempt_s in self._attempts() if left else ():
            self.describe_groups(left)
            answers = self._committed(left, attempt_s)
            failures = [a for a in answers.values() if isinstance(a, RotaError)]
            found |= {group: a for group, a in answers.items() if not isinstance(a, RotaError)}
            left = [group for group in left if group not in found]
            if not all(map(is_moving, failures)):
                break
            if not left:
                return found
        if left:
            raise failures[0]
        return found

    # Offsets

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The next offset of each partition (the high watermark); None where nobody could say."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def start_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The first offset still kept of each partition; None where nobody could say."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    # Underneath

    def _committed(
        self, groups: Collection[str], attempt_s: float
    ) -> dict[str, dict[TopicPartition, CommittedOffset] | RotaError]:
        """One attempt at the offsets of groups that were described just now."""
        futures = {
            group: self.admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=NEVER_S
            )[group]
            for group in groups
        }
        until = time.monotonic() + attempt_s
        found: dict[str, dict[TopicPartition, CommittedOffset] | RotaError] = {}
        for group, future in futures.items():
            left_s = max(until - time.monotonic(), SEE_AGAIN_S)
            answer = self._try(future, f"read the offsets of group {group}", left_s)
            found[group] = answer if isinstance(answer, RotaError) else convert.committed_offsets(answer)
        return found

    def _see(self, name: str, holds: Callable[[TopicDescription | RotaError], bool]) -> None:
        """Wait until this is what the brokers say of the topic; no longer than for an answer."""
        deadline = time.monotonic() + self.timeout_s
        while not holds(self.describe_topics([name], configs=False)[name]) and time.monotonic() < deadline:
            time.sleep(SEE_AGAIN_S)

    def _configs(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """The settings of each topic; none for one whose settings this user may not read.

        Raises:
            RotaError: nobody has answered.
        """
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self.admin.describe_configs(resources, request_timeout=self.timeout_s)
        found: dict[str, list[Any]] = {}
        for resource, future in futures.items():
            answer = self._try(future, f"read the settings of topic {resource.name}")
            if is_moving(answer):
                raise answer
            found[resource.name] = [] if isinstance(answer, RotaError) else list(answer.values())
        return found

    def _offsets(
        self, partitions: Iterable[TopicPartition], spec: OffsetSpec
    ) -> dict[TopicPartition, int | None]:
        """One offset of each. A leader that has just failed is waited for; a new one for a moment only, for if no
        replica can lead there will be none.
        """
        found: dict[TopicPartition, int | None] = {}
        left = sorted(set(partitions))
        for number, attempt_s in enumerate(self._attempts() if left else ()):
            wanted = {ClientPartition(tp.topic, tp.partition): spec for tp in left}
            futures = self.admin.list_offsets(wanted, request_timeout=attempt_s)
            again = []
            for asked, future in futures.items():
                tp, answer = TopicPartition(asked.topic, asked.partition), self._try(future, "read offsets")
                refused = isinstance(answer, RotaError)
                found[tp] = None if refused or answer.offset < 0 else int(answer.offset)
                unled = isinstance(answer, ClusterError) and answer.code == ClientError.LEADER_NOT_AVAILABLE
                # Of a leader that gave no answer in time librdkafka says neither an offset nor an error.
                silent = not refused and answer.offset < 0
                if silent or is_moving(answer) or (unled and number < ASKS_FOR_A_LEADER):
                    again.append(tp)
            if not (left := again):
                break
        return found


def is_missing(answer: TopicDescription | RotaError) -> bool:
    """Whether the brokers know no such topic."""
    return isinstance(answer, ClusterError) and answer.code == ClientError.UNKNOWN_TOPIC_OR_PART


def has_leaders(answer: TopicDescription | RotaError, *, at_least: int = 1) -> bool:
    """Whether a topic can be used: so many partitions, each with a leader. True too where nobody will say."""
    if isinstance(answer, RotaError):
        return not (isinstance(answer, ClusterError) and answer.code in _NOT_YET)
    return len(answer.partitions) >= at_least and all(part.leader is not None for part in answer.partitions)
