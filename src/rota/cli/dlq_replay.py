"""``rota dlq replay``: send dead letters back, each exactly once however often it is interrupted.

What is sent and how far it has come are written in one transaction: the position of the group
``rota-dlq-replay.TOPIC`` says which letters were sent, those between others as well
(`rota.consumer.failed.letter_box`).
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from rota.cli.dlq import (
    bounds_of,
    check_exceptions,
    partitions_of,
    read,
    reader,
    selection,
    selection_options,
)
from rota.cli.ending import StopRequest
from rota.cli.options import cluster_options, json_option
from rota.cli.output import count_of, emit, emit_json, note, table
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from confluent_kafka import Consumer, Producer

    from rota.cluster import Cluster
    from rota.consumer.failed.letter_box import Found, Position, Selection
    from rota.consumer.failed.letter_topics import Facts

__all__ = ["replay"]

GROUP = "rota-dlq-replay."
INTERNAL = frozenset({"__consumer_offsets", "__transaction_state"})
"""Topics that no client may write to."""
IN_ONE_TRANSACTION = 500
TRANSACTION_S = 1.0
PATIENCE_S = 30.0
_AGAIN_S = 0.2
CLEAR_LINE = "\x1b[K"


@click.command()
@click.argument("topic")
@click.option("--to", "target", metavar="TOPIC", help="Send all of them there instead of back.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send N letters at most.")
@click.option("--again", is_flag=True, help="Those that were sent back before, too.")
@click.option("--execute", is_flag=True, help="Do it; without it, only say what would be done.")
@selection_options
@json_option()
@cluster_options
def replay(
    topic: str,
    target: str | None,
    limit: int | None,
    again: bool,
    execute: bool,
    only_exception: Sequence[str],
    only_group: Sequence[str],
    offsets: Sequence[str],
    since: str | None,
    as_json: bool,
    cluster: Cluster,
) -> int:
    """Send the dead letters in TOPIC back to the topics they come from, with their keys, values and headers.

    Nothing is sent without --execute. A letter is sent once: a replay that was interrupted, or that took only some of
    them, is gone on with by the next one. Every group that reads the topic gets them again; --to sends them to
    another topic, such as the group's own first retry topic. They stay in TOPIC as well, until it is emptied.

    \b
    Examples:
      rota dlq replay orders.dlq
      rota dlq replay orders.dlq --only-exception TimeoutError --execute
      rota dlq replay orders.dlq --offset 0:17 --to orders.billing.retry.10s --execute
    """
    chosen = selection(only_exception, only_group, offsets, since)
    if target == topic:
        raise RotaError(f"--to {target}: the letters are there already", exit_code=2)
    run = Run(cluster, topic, chosen, target=target, limit=limit, again=again)
    try:
        (run.execute if execute else run.look)()
        if not (run.sent or run.code):
            check_exceptions(cluster, topic, chosen)
    finally:
        run.close()
        run.say(executed=execute, as_json=as_json)
    run.complain()
    return run.code


class Run:
    """One replay: what it has read, sent and left."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        chosen: Selection,
        *,
        target: str | None,
        limit: int | None,
        again: bool,
    ) -> None:
        self._cluster = cluster
        self._topic = topic
        self._chosen = chosen
        self._target = target
        self._limit = limit
        self._again = again
        self._partitions = partitions_of(cluster, topic)
        self._consumer = reader(cluster, GROUP + topic)
        self._targets = Targets(cluster)
        self._stop = StopRequest()
        self.sent: Counter[str] = Counter()
        """By topic."""
        self.before = 0
        """That were named with --offset and sent by an earlier run."""
        self.homeless = 0
        """That do not say where they come from."""
        self.gone: Counter[str] = Counter()
        """That come from a topic that does not exist, by that topic."""

    @property
    def code(self) -> int:
        """The exit code."""
        return self._stop.code

    def look(self) -> None:
        """Find out what would be sent."""
        for found in self._meant(self._positions()):
            if found is not None:
                self._targets.partition(found, self._where(found))
                self.sent[self._where(found)] += 1

    def execute(self) -> None:
        """Send it."""
        outbox = Outbox(self._cluster, self._consumer, self._topic)
        positions = self._positions()  # after the outbox: a transaction that was left open is over now
        progress = Progress()
        pending: Counter[str] = Counter()

        def commit() -> None:
            outbox.commit({p: position for p, position in positions.items() if p in touched})
            self.sent.update(pending)
            pending.clear()
            touched.clear()
            progress.show(self.sent.total())

        touched: set[TopicPartition] = set()
        try:
            for found in self._meant(positions):
                if found is not None:
                    where = self._where(found)
                    outbox.add(found, where, self._targets)
                    partition = TopicPartition(self._topic, found.message.partition())
                    positions[partition].passed(found.message.offset(), sent=True)
                    touched.add(partition)
                    pending[where] += 1
                if touched and outbox.full():
                    commit()
            if touched:
                commit()
        finally:
            progress.clear()
            outbox.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def say(self, *, executed: bool, as_json: bool) -> None:
        """What was done, or would be."""
        if as_json:
            emit_json(
                {
                    "topic": self._topic,
                    "executed": executed,
                    "letters": self.sent.total(),
                    "to": dict(sorted(self.sent.items())),
                    "withoutOrigin": self.homeless,
                    "toMissingTopics": dict(sorted(self.gone.items())),
                }
            )
            return
        rows = [(name, count) for name, count in sorted(self.sent.items())]
        if rows:
            for line in table(("TO", "LETTERS"), rows, right=["LETTERS"]):
                emit(line)
        what = count_of(self.sent.total(), "letter")
        emit(f"{what} sent." if executed else f"{what} would be sent; --execute sends them.")
        if self.before:
            note(f"{count_of(self.before, 'letter')} sent before already (--again sends them again).")
        if self._stop.code:
            note("Stopped: the same command goes on from here.")

    def complain(self) -> None:
        """Raises RotaError if some could not be sent."""
        reasons = []
        if self.homeless:
            does = "does" if self.homeless == 1 else "do"
            reasons.append(
                f"{count_of(self.homeless, 'record')} in {self._topic} {does} not say where to go back to, and "
                "stayed: name a topic with --to"
            )
        if self.gone:
            comes = "comes" if self.gone.total() == 1 else "come"
            topics = "a topic that does" if len(self.gone) == 1 else "topics that do"
            reasons.append(
                f"{count_of(self.gone.total(), 'letter')} in {self._topic} {comes} from {topics} not exist "
                f"({_some(sorted(self.gone))}), and stayed: make the topic, or name another one with --to"
            )
        if reasons:
            raise RotaError("; ".join(reasons))
        missing = self._chosen.offsets and not (self.sent or self.before)
        if missing and not self._stop.code:
            raise RotaError(f"{self._topic} has no such letter; `rota dlq show {self._topic}` lists them")

    def _positions(self) -> dict[TopicPartition, Position]:
        """What earlier runs have sent, as the group's commits say."""
        from rota.consumer.clients.client import Offset
        from rota.consumer.failed.letter_box import Position

        found = {}
        for answer in self._committed():
            partition = TopicPartition(answer.topic, answer.partition)
            committed = Offset(answer.offset, answer.metadata or "") if answer.offset >= 0 else None
            found[partition] = Position(committed)
        return found

    def _committed(self) -> list[Any]:
        """Asked again while the group's coordinator is being found: it is a group that nobody has asked for."""
        from confluent_kafka import KafkaException
        from confluent_kafka import TopicPartition as ClientPartition

        from rota.cluster import explain
        from rota.consumer.clients.client_errors import may_pass

        asked = [ClientPartition(*partition) for partition in self._partitions]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answers = self._consumer.committed(asked, timeout=PATIENCE_S)
                problem = next((answer.error for answer in answers if answer.error is not None), None)
            except KafkaException as error:
                problem = error.args[0]
            if problem is None:
                return answers
            if not may_pass(problem) or time.monotonic() > deadline:
                raise explain(KafkaException(problem), f"read how far group {GROUP}{self._topic} is")
            time.sleep(_AGAIN_S)

    def _meant(self, positions: Mapping[TopicPartition, Position]) -> Iterator[Found | None]:
        """The letters to send, in order; those that stay are noted in the positions. None: none at hand."""
        from rota.consumer.failed.letter_box import Found

        bounds = bounds_of(self._cluster, self._partitions, self._chosen)
        if not self._chosen.offsets:
            for partition, (first, _) in bounds.items():
                positions[partition].gone_before(first)
        if not self._again and not self._chosen.offsets:
            bounds = {p: (max(first, positions[p].begin), end) for p, (first, end) in bounds.items()}
        for partition, (first, _) in bounds.items():
            positions[partition].read_from(first)
        count = 0
        for message in read(self._consumer, bounds):
            if self._stop.code or count == self._limit:
                return
            if message is None:
                yield None
                continue
            found = Found.of(message)  # type: ignore[arg-type]
            position = positions[TopicPartition(self._topic, found.message.partition())]
            if self._is_to_go(found, position):
                count += 1
                yield found
            else:
                position.passed(found.message.offset(), sent=False)

    def _is_to_go(self, found: Found, position: Position) -> bool:
        if not self._chosen.takes(found):
            return False
        if position.sent_before(found.message.offset()) and not self._again:
            self.before += bool(self._chosen.offsets)
            return False
        if self._target is None and not self._says_where(found):
            self.homeless += 1
            return False
        if self._target is None and not self._targets.exists(self._where(found)):
            self.gone[self._where(found)] += 1
            return False
        return True

    def _says_where(self, found: Found) -> bool:
        """Whether it says where to go back to. Anybody can write headers: none comes from here, or from a topic of
        the brokers' own.
        """
        origin = None if found.letter is None else found.letter.origin.topic
        return origin is not None and origin != self._topic and origin not in INTERNAL

    def _where(self, found: Found) -> str:
        if self._target is not None:
            return self._target
        assert found.letter is not None
        return found.letter.origin.topic


def _some(names: Sequence[str]) -> str:
    """Names in a sentence, three at most."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class Targets:
    """The topics that letters go to, looked up when the first one does."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, tuple[int, Facts]] = {}
        self._missing: set[str] = set()

    def exists(self, topic: str) -> bool:
        """Whether there is such a topic, or can be. Raises RotaError if nobody can tell."""
        from confluent_kafka import KafkaError

        from rota.cluster.errors import ClusterError

        if topic in self._missing:
            return False
        try:
            self._look(topic)
        except ClusterError as error:
            if error.code not in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_EXCEPTION):
                raise
            self._missing.add(topic)
            return False
        return True

    def partition(self, found: Found, topic: str) -> int | None:
        """The one that it was in, if that is where it goes; else its key decides. Raises RotaError for a topic
        that does not exist.
        """
        count, _ = self._look(topic)
        origin = found.letter.origin if found.letter is not None else None
        if origin is None or origin.topic != topic or origin.partition >= count:
            return None
        return origin.partition

    def timestamp_ms(self, found: Found, topic: str) -> int | None:
        """Its own, unless the topic would delete it for that."""
        from rota.consumer.failed.letter_topics import timestamp_for

        _, facts = self._look(topic)
        timestamp_ms = found.message.timestamp()[1]
        if found.letter is not None:
            timestamp_ms = found.letter.origin.timestamp_ms
        return timestamp_for(timestamp_ms, facts, time.time_ns() // 1_000_000)

    def _look(self, topic: str) -> tuple[int, Facts]:
        if topic not in self._known:
            from rota.consumer.failed.letter_topics import facts_of

            count = self._cluster.partition_counts([topic])[topic]
            described = self._cluster.describe_topics([topic])[topic]
            if isinstance(described, RotaError):
                raise described
            self._known[topic] = count, facts_of(described)
        return self._known[topic]


class Outbox:
    """Letters and the position behind them, in transactions. Two replays of one topic cannot run at once: the
    second one fences the first.
    """

    def __init__(self, cluster: Cluster, consumer: Consumer, topic: str) -> None:
        self._name = GROUP + topic
        self._consumer = consumer
        self._producer: Producer = cluster.producer(
            {
                "transactional.id": self._name,
                "allow.auto.create.topics": False,
                "partitioner": "murmur2_random",
                "message.max.bytes": 1_000_000_000,
                "linger.ms": 5,
            }
        )
        self._letters = 0
        self._began = 0.0
        self._refused = ""
        self._do("begin", lambda: self._producer.init_transactions(PATIENCE_S))

    def add(self, found: Found, topic: str, targets: Targets) -> None:
        """One more."""
        from confluent_kafka import KafkaError, KafkaException

        from rota.consumer.failed.letter_box import replay_headers

        if not self._letters:
            self._do("begin", self._producer.begin_transaction)
            self._began = time.monotonic()
        self._letters += 1
        message = found.message
        partition, timestamp_ms = targets.partition(found, topic), targets.timestamp_ms(found, topic)
        more: dict[str, Any] = {} if partition is None else {"partition": partition}
        if timestamp_ms is not None:
            more["timestamp"] = timestamp_ms
        headers: Any = replay_headers(found, topic)
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=message.value(),
                    key=message.key(),
                    headers=headers,
                    on_delivery=self._delivered,
                    **more,
                )
            except BufferError:  # the client's queue is full
                self._producer.poll(0.1)
            except KafkaException as failure:  # it says that it is over, and the transaction says why
                self._do("send", lambda: self._producer.abort_transaction(PATIENCE_S))
                self._letters = 0
                raise self._failed("send", failure.args[0], KafkaError) from None
            else:
                self._producer.poll(0)
                return

    def full(self) -> bool:
        """Whether it is time to commit."""
        return self._letters >= IN_ONE_TRANSACTION or time.monotonic() - self._began > TRANSACTION_S

    def commit(self, positions: Mapping[TopicPartition, Position]) -> None:
        """All letters that were added, and the positions, or nothing of it (a RotaError)."""
        from confluent_kafka import TopicPartition as ClientPartition

        offsets = []
        for partition, position in positions.items():
            offset, whole = position.offset()
            if not whole:
                self._abort()
                raise RotaError(
                    f"what was sent of {partition} is too scattered to be remembered: send letters in larger "
                    "pieces (fewer --only-… and --offset)"
                )
            offsets.append(ClientPartition(*partition, offset.offset, offset.metadata))
        metadata = self._consumer.consumer_group_metadata()
        self._do(
            "note how far it is",
            lambda: self._producer.send_offsets_to_transaction(offsets, metadata, PATIENCE_S),
        )
        self._do("commit", lambda: self._producer.commit_transaction(PATIENCE_S))
        self._letters = 0

    def close(self) -> None:
        """What was not committed is not sent."""
        if self._letters:
            self._abort()

    def _abort(self) -> None:
        from confluent_kafka import KafkaException

        self._letters = 0
        try:
            self._producer.abort_transaction(PATIENCE_S)
        except KafkaException:
            return  # the next replay, or the broker after a minute, aborts it

    def _do(self, what: str, step: Any) -> None:
        """One step of a transaction, again if it may be; else everything since the last commit is undone."""
        from confluent_kafka import KafkaError, KafkaException

        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                step()
            except KafkaException as failure:
                error = failure.args[0]
                if error.retriable() and time.monotonic() < deadline:
                    continue
                if error.txn_requires_abort():
                    self._abort()
                self._letters = 0
                raise self._failed(what, error, KafkaError) from None
            else:
                return

    def _failed(self, what: str, error: Any, codes: Any) -> RotaError:
        words = self._refused or " ".join(str(error.str()).split())
        if error.code() in (codes._FENCED, codes.PRODUCER_FENCED, codes.INVALID_PRODUCER_EPOCH):  # noqa: SLF001
            words = "another replay of the same topic has begun"
        elif error.code() == codes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            words = f"this user may not use the transactional id {self._name}"
        return RotaError(
            f"could not {what}: {words}; what was not committed was not sent, the same command goes on"
        )

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and not self._refused:
            self._refused = f"{message.topic()} did not take a letter: {' '.join(str(error.str()).split())}"


class Progress:
    """One line on a terminal's standard error."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()

    def show(self, count: int) -> None:
        """Say how many were sent."""
        if self._on:
            sys.stderr.write(f"{CLEAR_LINE}{count_of(count, 'letter')} sent\r")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._on:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()
