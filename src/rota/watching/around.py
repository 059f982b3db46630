"""What lies around groups: brokers and their settings, open transactions, the records that partitions are stuck at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rota.model import RotaError, TopicPartition
from rota.monitor.doctor import Need, OpenTransaction, RecordFacts
from rota.monitor.facts import Node, TopicFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.admin import Admin
    from rota.monitor.facts import ProducerFacts, Snapshot, TransactionFacts
    from rota.monitor.view import GroupView

__all__ = ["Around"]

OFFSETS_TOPIC: Final = "__consumer_offsets"
KEEP_S: Final = 60.0
"""Settings and brokers are asked for again after so long."""
STUCK_LOOKS: Final = 3
"""A partition whose commit so many looks show unchanged, with records behind it, may be stuck."""
MOST_RECORDS: Final = 20
"""So many records are asked for at a time: each is a request of its own."""
MOST_REMEMBERED: Final = 1_000
MOST_BLOCKED: Final = 1_000
KEY_LENGTH: Final = 60
_T = TypeVar("_T")


class Around:
    """Asks for it, and remembers for a while. What is refused is in `missing`, by what it is needed for."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._asked_s: float | None = None
        self._configs: dict[int, Mapping[str, str]] = {}
        self._transactions: dict[TopicPartition, list[OpenTransaction]] | None = None
        self._left = MOST_RECORDS
        self._records: dict[tuple[TopicPartition, int], RecordFacts | None] = {}
        self.nodes: tuple[Node, ...] | None = None
        self.offsets_topic: TopicFacts | None = None
        self.group_configs: Mapping[str, Mapping[str, str]] = {}
        self.missing: dict[Need, str] = {}

    def prepare(self, newest: Snapshot, views: Mapping[str, GroupView]) -> None:
        """Ask what these groups need, each thing once for all of them."""
        now = time.monotonic()
        if self._asked_s is None or now - self._asked_s > KEEP_S:
            self._asked_s = now
            self._learn_cluster(newest)
        self._learn_transactions(views.values())
        self._left = MOST_RECORDS

    def broker_configs(self, node: Node | None) -> Mapping[str, str] | None:
        """Of the group's coordinator, or of any broker where nobody knows which that is."""
        if node is not None and node.id in self._configs:
            return self._configs[node.id]
        return next(iter(self._configs.values()), None)

    def transactions_of(self, view: GroupView) -> tuple[OpenTransaction, ...] | None:
        """Those that keep readers waiting in the group's partitions; None where nobody could say."""
        if self._transactions is None:
            return None
        parts = [part.partition for part in view.partitions if part.blocked_by_transaction]
        return tuple(each for part in parts for each in self._transactions.get(part, ()))

    def records_of(self, view: GroupView, looks: Sequence[Snapshot]) -> dict[TopicPartition, RecordFacts]:
        """The first unread records of partitions that look stuck."""
        found: dict[TopicPartition, RecordFacts] = {}
        for part in view.partitions:
            if part.member is None or part.commit is None or not part.lag:
                continue
            group = view.facts.group
            last = [look.commits[group].get(part.partition) for look in looks[-STUCK_LOOKS:]]
            same = all(commit is not None and commit.offset == part.commit.offset for commit in last)
            if len(last) < STUCK_LOOKS or not same:
                continue
            record = self._record(part.partition, part.commit.offset)
            if record is not None:
                found[part.partition] = record
        return found

    # Asking

    def _try(self, need: Need, question: Callable[[], _T]) -> _T | None:
        try:
            answer = question()
        except RotaError as error:
            self.missing[need] = str(error)
            return None
        self.missing.pop(need, None)
        return answer

    def _learn_cluster(self, newest: Snapshot) -> None:
        admin = self._admin
        self.nodes = self._try(Need.NODES, admin.nodes)
        configs = self._try(Need.BROKER_CONFIGS, admin.broker_configs) or {}
        self._configs = {number: each for number, each in configs.items() if not isinstance(each, RotaError)}
        refused = [each for each in configs.values() if isinstance(each, RotaError)]
        if refused and not self._configs:
            self.missing[Need.BROKER_CONFIGS] = str(refused[0])
        topic = self._try(Need.TOPICS, lambda: admin.topics([OFFSETS_TOPIC], ["min.insync.replicas"]))
        self.missing.pop(Need.TOPICS, None)  # it may not be there yet
        offsets = None if topic is None else topic.get(OFFSETS_TOPIC)
        self.offsets_topic = offsets if isinstance(offsets, TopicFacts) else None
        modern = [name for name, facts in newest.groups.items() if facts.type == "Consumer"]
        try:
            answers = admin.group_configs(modern) if modern else {}
        except RotaError:  # an older broker has none
            answers = {}
        self.group_configs = {name: each for name, each in answers.items() if not isinstance(each, RotaError)}

    def _learn_transactions(self, views: Iterable[GroupView]) -> None:
        blocked = sorted(
            {part.partition for view in views for part in view.partitions if part.blocked_by_transaction}
        )[:MOST_BLOCKED]
        self._transactions = {}
        if not blocked:
            self.missing.pop(Need.PRODUCERS, None)
            return
        producers = self._try(Need.PRODUCERS, lambda: self._admin.producers(blocked))
        if producers is None:
            self._transactions = None
            return
        open_: dict[TopicPartition, list[ProducerFacts]] = {
            part: [each for each in answer if each.transaction_start is not None]
            for part, answer in producers.items()
            if not isinstance(answer, RotaError)
        }
        known, whole = self._by_producer({each.producer_id for found in open_.values() for each in found})
        for part, found in open_.items():
            self._transactions[part] = [
                _transaction(part, each, known.get(each.producer_id), whole=whole) for each in found
            ]

    def _by_producer(self, ids: set[int]) -> tuple[dict[int, TransactionFacts], bool]:
        """Transactions by producer id, and whether those that are missing are known not to be."""
        if not ids:
            return {}, True
        try:
            names, failure = self._admin.list_transactions(producer_ids=sorted(ids))
            answers = self._admin.transactions(names) if names else {}
        except RotaError:
            return {}, False
        facts = [each for each in answers.values() if not isinstance(each, RotaError)]
        whole = failure is None and len(facts) == len(answers)
        return {each.producer_id: each for each in facts}, whole

    def _record(self, partition: TopicPartition, offset: int) -> RecordFacts | None:
        place = partition, offset
        if place not in self._records:
            if self._left <= 0:
                return None
            self._left -= 1
            if len(self._records) >= MOST_REMEMBERED:
                self._records.clear()
            try:
                record: Any = self._admin.record_at(partition, offset)
            except RotaError:  # not allowed to read it, or it cannot be read: the finding does without
                record = None
            self._records[place] = None if record is None else _facts(record)
        return self._records[place]


def _transaction(
    partition: TopicPartition, producer: ProducerFacts, known: TransactionFacts | None, *, whole: bool
) -> OpenTransaction:
    # Where its transaction has not got this partition, the coordinator has gone on, and this one was lost on the way.
    lost = known is not None and known.state == "Ongoing" and partition not in known.partitions
    return OpenTransaction(
        partition=partition,
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        start_offset=producer.transaction_start or 0,
        coordinator_epoch=producer.coordinator_epoch,
        written_ms=producer.last_timestamp_ms,
        transactional_id=None if known is None else known.transactional_id,
        state=known.state if known is not None and not lost else "" if whole or lost else None,
        since_ms=None if known is None or lost else known.since_ms,
        timeout_ms=None if known is None else known.timeout_ms,
    )


def _facts(record: Any) -> RecordFacts:
    """A record of the wire's, for people."""
    key = None if record.key is None else _text(record.key)
    size = None if record.value is None else len(record.value)
    names = tuple(_text(name) if isinstance(name, bytes) else str(name) for name, _ in record.headers)
    return RecordFacts(record.offset, record.timestamp, key, size, names)


def _text(data: bytes) -> str:
    """Bytes as text where they are, else in hexadecimal; not too long for a line."""
    try:
        text = data.decode()
        text = text if text.isprintable() else data.hex()
    except UnicodeDecodeError:
        text = data.hex()
    return text if len(text) <= KEY_LENGTH else f"{text[:KEY_LENGTH]}…"
