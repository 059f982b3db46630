"""``Admin``: questions and orders to a cluster, each one call, each answered for many groups or partitions at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rota.admin import changes, records, transactions
from rota.admin import groups as group_questions
from rota.admin.commits import commits
from rota.admin.errors import ConnectionFailedError, refusal
from rota.admin.offsets import At, Position, positions
from rota.admin.security import Security, addresses
from rota.admin.talk import Talk
from rota.admin.topics import GROUP, broker_settings, describe_topics, read_configs
from rota.client_properties import check_names, client_properties
from rota.model import KafkaError, RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping
    from types import TracebackType

    from rota.model import TopicPartition
    from rota.monitor.facts import (
        BatchFacts,
        Commit,
        GroupFacts,
        GroupListing,
        Node,
        ProducerFacts,
        TopicFacts,
        TransactionFacts,
    )
    from rota.wire.records import Record

__all__ = ["Admin"]

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
_T = TypeVar("_T")


class Admin:
    """A client of one cluster, in Kafka's own protocol. Making one connects to nothing; the first question does.

    ``properties`` are client properties under librdkafka's or Java's names. Every question is answered or refused
    within about ``timeout_s``: what concerns one group or partition is in its place, a value or a ``RotaError``; one is
    raised where nobody answers at all.

    It may be used by several threads at once. Its sockets belong to a thread of its own, which does not keep a program
    from ending. After a fork the child's first question opens connections of its own. ``close`` ends them; a question
    after that opens them anew.
    """

    def __init__(
        self,
        bootstrap: str = DEFAULT_BOOTSTRAP,
        properties: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> None:
        self.bootstrap = bootstrap
        self.timeout_s = timeout_s
        self._properties = client_properties(properties or {})
        check_names(self._properties)
        self._addresses = addresses(bootstrap)
        self._security = Security.from_properties(self._properties)
        self._talk: Talk | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def properties(self) -> Mapping[str, str]:
        """The client properties, under librdkafka's names: for other clients of the same cluster."""
        return self._properties

    def close(self) -> None:
        """Let go of the connections."""
        talk, self._talk = self._talk, None
        if talk is not None and talk.pid == os.getpid():
            talk.close()

    # The cluster

    def nodes(self) -> tuple[Node, ...]:
        """The brokers, by id."""
        brokers = self._here.brokers
        self._run(brokers.learn_nodes(), f"ask {self.bootstrap} for its brokers")
        return tuple(brokers.nodes[number] for number in sorted(brokers.nodes))

    # Groups

    def list_groups(
        self, states: Collection[str] = (), types: Collection[str] = ()
    ) -> tuple[tuple[GroupListing, ...], RotaError | None]:
        """Every group, by name, of these states and types; and why some may be missing, if a broker did not answer."""
        asked = group_questions.list_groups(self._here.brokers, states, types, self.timeout_s)
        return self._run(asked, f"list the groups at {self.bootstrap}")

    def describe_groups(
        self, names: Collection[str], types: Mapping[str, str] | None = None
    ) -> dict[str, GroupFacts | RotaError]:
        """State and members of each; one that does not exist is in state `Dead`.

        ``types`` say of which type each is, where that is known from a list: it saves a request.
        """
        asked = group_questions.describe_groups(self._here.brokers, names, self.timeout_s, types)
        return self._run(asked, "describe groups")

    def commits(self, names: Collection[str]) -> dict[str, dict[TopicPartition, Commit] | RotaError]:
        """Every offset that each group has committed; nothing for a group that does not exist."""
        return self._run(commits(self._here.brokers, names, self.timeout_s), "read committed offsets")

    # Offsets

    def offsets(
        self, partitions: Collection[TopicPartition], at: int = At.LATEST
    ) -> dict[TopicPartition, int | RotaError | None]:
        """One offset of each partition: ``At.LATEST``, ``EARLIEST``, ``STABLE``, ``MAX_TIMESTAMP``, or the first from
        a timestamp on (milliseconds since 1970). None where there is no such record.
        """
        return {
            tp: answer.offset if isinstance(answer, Position) else answer
            for tp, answer in self.positions(partitions, at).items()
        }

    def positions(
        self, partitions: Collection[TopicPartition], at: int | Mapping[TopicPartition, int] = At.LATEST
    ) -> dict[TopicPartition, Position | RotaError]:
        """The same with the record's timestamp (where one was asked about) and its leader's epoch. ``at`` may also be
        a timestamp for each partition.
        """
        here = self._here
        asked = positions(here.brokers, here.topics, partitions, at, self.timeout_s)
        return self._run(asked, "read offsets")

    # Topics

    def topics(
        self, names: Collection[str] | None = None, configs: Collection[str] = ()
    ) -> dict[str, TopicFacts | RotaError]:
        """Each named topic, or all there are; with these of its settings."""
        here = self._here
        return self._run(describe_topics(here.brokers, here.topics, names, configs), "describe topics")

    def broker_configs(
        self, names: Collection[str] = (), brokers: Collection[int] | None = None
    ) -> dict[int, dict[str, str] | RotaError]:
        """The named settings (all, if none are named) of each broker, or of these; secret ones are left out."""
        asked = broker_settings(self._here.brokers, brokers, names, self.timeout_s)
        return self._run(asked, "read the brokers' settings")

    def group_configs(self, groups: Collection[str]) -> dict[str, dict[str, str] | RotaError]:
        """The settings of groups of the consumer protocol (KIP-848), such as ``consumer.session.timeout.ms``."""
        asked = self._here.brokers.with_any(lambda c: read_configs(c, GROUP, groups, ()))
        return self._run(asked, "read the groups' settings")

    # Records

    def batches(
        self, wanted: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, BatchFacts | RotaError | None]:
        """The header of the first record batch that reaches an offset, for each; None where the log ends before.

        Needs to be allowed to read the topic; nothing is decompressed.
        """
        here = self._here
        return self._run(records.batches(here.brokers, here.topics, wanted, self.timeout_s), "read batches")

    def record_at(self, partition: TopicPartition, offset: int) -> Record | None:
        """The first record from an offset on; None where there is none yet. Raises ``RotaError``."""
        here = self._here
        asked = records.record_at(here.brokers, here.topics, partition, offset, self.timeout_s)
        return self._run(asked, f"read partition {partition}")

    # Changes

    def alter_offsets(
        self, group: str, offsets: Mapping[TopicPartition, Commit]
    ) -> dict[TopicPartition, RotaError | None]:
        """Commit for a group that has no members; for each partition None or why not."""
        asked = changes.alter_offsets(self._here.brokers, group, offsets, self.timeout_s)
        return self._run(asked, f"set offsets of group {group}")

    def delete_groups(self, names: Collection[str]) -> dict[str, RotaError | None]:
        """Delete groups that have no members, with all that they have committed; for each None or why not."""
        return self._run(changes.delete_groups(self._here.brokers, names, self.timeout_s), "delete groups")

    def delete_offsets(
        self, group: str, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, RotaError | None]:
        """Forget what a group has committed in these partitions; for each None or why not."""
        asked = changes.delete_offsets(self._here.brokers, group, partitions, self.timeout_s)
        return self._run(asked, f"delete offsets of group {group}")

    def remove_members(
        self, group: str, instance_ids: Collection[str], reason: str = "removed by an operator"
    ) -> dict[str, RotaError | None]:
        """Take static members out of a group, by ``group.instance.id``; for each None or why not."""
        asked = changes.remove_members(self._here.brokers, group, instance_ids, reason, self.timeout_s)
        return self._run(asked, f"remove members of group {group}")

    # Transactions

    def producers(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[ProducerFacts, ...] | RotaError]:
        """Who has written to each partition of late, and where their open transactions begin."""
        here = self._here
        asked = transactions.producers(here.brokers, here.topics, partitions, self.timeout_s)
        return self._run(asked, "ask for producers")

    def list_transactions(
        self, states: Collection[str] = (), producer_ids: Collection[int] = ()
    ) -> tuple[tuple[str, ...], RotaError | None]:
        """Transactional ids in these states and of these producers; and why some may be missing."""
        asked = transactions.list_transactions(self._here.brokers, states, producer_ids, self.timeout_s)
        return self._run(asked, f"list the transactions at {self.bootstrap}")

    def transactions(self, ids: Collection[str]) -> dict[str, TransactionFacts | RotaError]:
        """Each of these transactional ids, as its coordinator knows it."""
        return self._run(
            transactions.transactions(self._here.brokers, ids, self.timeout_s), "describe transactions"
        )

    # Several questions at once

    def run(self, question: Callable[[Talk], Coroutine[Any, Any, _T]], doing: str) -> _T:
        """Carry out a coroutine in the thread where the connections are. Raises ``RotaError``."""
        return self._run(question(self._here), doing)

    # Underneath

    @property
    def _here(self) -> Talk:
        """What belongs to this process: its thread, its connections."""
        if self._talk is None or self._talk.pid != os.getpid():
            self._talk = Talk(
                self.bootstrap, self._addresses, self._security, self._client_id, self.timeout_s
            )
        return self._talk

    @property
    def _client_id(self) -> str:
        return self._properties.get("client.id", "rota")

    def _run(self, question: Coroutine[Any, Any, _T], doing: str) -> _T:
        try:
            return self._here.thread.run(question)
        except (KafkaError, ConnectionFailedError) as error:
            raise refusal(error, doing) from None
