"""Conversations about transactions, for ``test_transactions_like_kafka``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.broker.talk import Talk
from tests.broker.transactional_talk import (
    WITHIN_S,
    Producer,
    committed,
    committing,
    fetching,
    init,
    look,
    note_fetch,
    producing,
)

from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from rota.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from rota.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)
from rota.wire.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from rota.wire.messages.end_txn import EndTxnResponse
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.init_producer_id import InitProducerIdResponse
from rota.wire.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchResponse,
)
from rota.wire.messages.produce import (
    ProduceResponse,
)
from rota.wire.messages.txn_offset_commit import (
    TxnOffsetCommitResponse,
)
from rota.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from rota.wire.records import build_batch
from rota.wire.schema import Message

__all__ = ["CASES"]


def find_the_coordinator(talk: Talk) -> None:
    producer = Producer(talk)
    for version in range(4, 7):
        ask = FindCoordinatorRequest(key_type=1, coordinator_keys=[producer.name, ""])
        found = talk.client.call(ask, version, FindCoordinatorResponse)
        talk.note(ask, version, FindCoordinatorResponse(throttle_time_ms=len(found.coordinators)))
    talk.note(ask, 9, FindCoordinatorResponse(error_code=found.coordinators[1].error_code))


def init_with_odd_arguments(talk: Talk) -> None:
    producer = Producer(talk)
    for version in (0, 2, 3, 4, 5):
        producer.ask(init(""), version, InitProducerIdResponse)
        for timeout_ms in (0, -1, 900_001):
            producer.ask(init(producer.name, timeout_ms), version, InitProducerIdResponse)
    for name in (producer.name, None):
        producer.ask(init(name, 1_000, 5, -1), 4, InitProducerIdResponse)
        producer.ask(init(name, 1_000, -1, 5), 4, InitProducerIdResponse)
    producer.describe()


def init_again_and_again(talk: Talk) -> None:
    """A newcomer gets the next epoch; so does who goes on after an error, unless somebody came between."""
    producer = Producer(talk)
    producer.init()
    for version in (0, 1, 2, 3, 4, 5):
        producer.ask(init(producer.name), version, InitProducerIdResponse)
    producer.init()
    producer.init(again=True)
    for version in (3, 4, 5):
        same = init(producer.name, 60_000, producer.id, producer.epoch - 1)  # the answer was lost
        producer.ask(same, version, InitProducerIdResponse)
        old = init(producer.name, 60_000, producer.id, producer.epoch - 2)
        producer.ask(old, version, InitProducerIdResponse)
        newer = init(producer.name, 60_000, producer.id, producer.epoch + 2)
        producer.ask(newer, version, InitProducerIdResponse)
        other = init(producer.name, 60_000, producer.id + 100_000, producer.epoch)
        producer.ask(other, version, InitProducerIdResponse)
    producer.init()
    lost = init(producer.name, 60_000, producer.id, producer.epoch - 1)
    producer.ask(lost, 4, InitProducerIdResponse)
    unknown = init(f"{producer.name}-unknown", 60_000, producer.id, producer.epoch)
    producer.ask(unknown, 4, InitProducerIdResponse)
    producer.describe()


def add_partitions(talk: Talk) -> None:
    producer = Producer(talk)
    topic = talk.topic(3)
    producer.ask(producer.adding((topic, 0)), 3, AddPartitionsToTxnResponse)  # nobody knows this producer
    producer.init()
    for version in range(4):
        for request in (
            producer.adding((topic, 0), producer=100_000),
            producer.adding((topic, 0), epoch=-1),
            producer.adding((topic, 0), epoch=1),
            producer.adding((topic, 0), ("missing", 0)),
            producer.adding((topic, 0), (topic, 7)),
            producer.adding(),
        ):
            producer.ask(request, version, AddPartitionsToTxnResponse)
        if version != 3:
            producer.describe()
    nameless = producer.adding((topic, 0))
    nameless.v3_and_below_transactional_id = ""
    producer.ask(nameless, 3, AddPartitionsToTxnResponse)
    for version in range(4):
        producer.ask(producer.adding((topic, 0), (topic, version % 3)), version, AddPartitionsToTxnResponse)
        producer.describe()


def add_partitions_as_brokers_do(talk: Talk) -> None:
    """Several transactions at once, and questions that change nothing."""
    producer = Producer(talk)
    topic = talk.topic(3)
    producer.init()

    def wanted(partition: int, *, verify: bool, epoch: int = 0, name: str = "") -> Any:
        return AddPartitionsToTxnTransaction(
            transactional_id=name or producer.name,
            producer_id=producer.id,
            producer_epoch=producer.epoch + epoch,
            verify_only=verify,
            topics=[AddPartitionsToTxnTopic(name=topic, partitions=[partition])],
        )

    for version in (4, 5):
        for verify in (True, False, True):
            for partition, epoch in ((0, 0), (1, 0), (0, 1), (9, 0)):
                one = wanted(partition, verify=verify and partition == 0, epoch=epoch)
                request = AddPartitionsToTxnRequest(transactions=[one])
                producer.ask(request, version, AddPartitionsToTxnResponse)
        several = [wanted(2, verify=False), wanted(2, verify=True, name="unknown")]
        producer.ask(AddPartitionsToTxnRequest(transactions=several), version, AddPartitionsToTxnResponse)
    producer.describe()


def add_offsets(talk: Talk) -> None:
    producer = Producer(talk)
    talk.coordinator(producer.name)
    producer.init()
    for version in range(5):
        for name, more, epoch in (
            (producer.name, 100_000, 0),
            (producer.name, 0, -1),
            (producer.name, 0, 1),
            ("", 0, 0),
            ("unknown", 0, 0),
        ):
            request = AddOffsetsToTxnRequest(
                transactional_id=name,
                producer_id=producer.id + more,
                producer_epoch=producer.epoch + epoch,
                group_id=producer.name,
            )
            producer.ask(request, version, AddOffsetsToTxnResponse)
    producer.describe()
    for version in range(5):
        request = AddOffsetsToTxnRequest(
            transactional_id=producer.name,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            group_id=producer.name,
        )
        producer.ask(request, version, AddOffsetsToTxnResponse)
    producer.describe()


def end_what_never_began(talk: Talk) -> None:
    producer = Producer(talk)
    producer.ask(producer.ending(), 3, EndTxnResponse)
    producer.init()
    for version in range(5):
        for commit in (True, False):
            producer.ask(producer.ending(commit=commit), version, EndTxnResponse)
            for more, epoch in ((100_000, 0), (0, -1), (0, 1)):
                request = producer.ending(commit=commit, producer=more, epoch=epoch)
                producer.ask(request, version, EndTxnResponse)
    nameless = producer.ending()
    nameless.transactional_id = ""
    for version in (4, 5):
        producer.ask(nameless, version, EndTxnResponse)
    producer.describe()


def end_twice(talk: Talk) -> None:
    """The same end again is no error, another end is one."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    for version in range(5):
        for commit in (True, False):
            producer.add((topic, 0))
            producer.produce(topic)
            producer.ask(producer.ending(commit=commit), version, EndTxnResponse)
            producer.settle()
            producer.describe()
            producer.ask(producer.ending(commit=commit), version, EndTxnResponse)
            producer.ask(producer.ending(commit=not commit), version, EndTxnResponse)
            producer.ask(producer.ending(commit=commit, epoch=1), version, EndTxnResponse)
    producer.read(topic)


def end_with_new_epochs(talk: Talk) -> None:
    """KIP-890: every end gives a new epoch; ends that are repeated are recognised by the epoch before."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    for commit in (True, False):
        producer.ask(producer.ending(commit=commit), 5, EndTxnResponse)  # nothing to commit; an abort is fine
        producer.settle()
        producer.init()
        producer.produce(topic, version=12)
        producer.describe()
        for more, epoch in ((100_000, 0), (0, -1), (0, 1)):
            request = producer.ending(commit=commit, producer=more, epoch=epoch)
            producer.ask(request, 5, EndTxnResponse)
        producer.ask(producer.ending(commit=commit), 5, EndTxnResponse)
        producer.settle()
        producer.describe()
        for again in (commit, not commit):
            producer.ask(producer.ending(commit=again), 5, EndTxnResponse)
        producer.settle()
        producer.epoch += 1
        producer.ask(producer.ending(commit=True), 5, EndTxnResponse)
        producer.settle()
        producer.describe()
        producer.ask(producer.ending(commit=False), 5, EndTxnResponse)
        producer.settle()
        producer.describe()
        producer.init()
    producer.ask(init(producer.name, 60_000, producer.id, producer.epoch), 5, InitProducerIdResponse)
    producer.read(topic)


def produce_outside_a_transaction(talk: Talk) -> None:
    """Up to v11 partitions must have been added; from v12 on producing adds them."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    for version in (3, 8, 9, 10, 11):
        one = build_batch(
            [(b"k", b"v", 1, [])],
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            base_sequence=0,
            transactional=True,
        )
        for name in (producer.name, "unknown", None):
            producer.ask(producing(name, topic, bytes(one)), version, ProduceResponse)
    producer.describe()
    producer.produce(topic, version=12)
    producer.describe()
    producer.read(topic)


def produce_with_other_ids(talk: Talk) -> None:
    producer = Producer(talk)
    topic = talk.topic()
    topic_id = talk.topic_id(topic)
    producer.init()
    for round_ in range(2):
        for version in (9, 11, 12, 13):
            for more, epoch in ((100_000, 0), (0, 1), (0, -1)):
                one = build_batch(
                    [(b"k", b"v", 1, [])],
                    producer_id=producer.id + more,
                    producer_epoch=max(0, producer.epoch + epoch),
                    base_sequence=0,
                    transactional=True,
                )
                request = producing(producer.name, topic, bytes(one), topic_id)
                if producer.epoch + epoch >= 0:
                    producer.ask(request, version, ProduceResponse)
        if not round_:
            producer.init()
            producer.add((topic, 0))
            producer.produce(topic)
    other = Producer(talk, "-other")
    other.init()
    other.add((topic, 0))
    other.produce(topic)
    plain_batch = build_batch(
        [(b"k", b"v", 1, [])], producer_id=other.id, producer_epoch=other.epoch, base_sequence=1
    )
    producer.ask(producing(other.name, topic, bytes(plain_batch)), 9, ProduceResponse)
    producer.ask(producing(None, topic, bytes(plain_batch)), 9, ProduceResponse)


def read_committed(talk: Talk) -> None:
    """Open, committed and aborted transactions of two producers, one inside the other."""
    first, second = Producer(talk, "-1"), Producer(talk, "-2")
    topic = talk.topic()
    for producer in (first, second):
        producer.init()
    for number, (commit_first, commit_second) in enumerate(
        ((True, True), (True, False), (False, True), (False, False))
    ):
        first.add((topic, 0))
        second.add((topic, 0))
        first.produce(topic, b"first %d" % number, count=3)
        second.produce(topic, b"second %d" % number, count=2)
        talk.produce(topic, build_batch([(b"k", b"plain %d" % number, 1_000, [])]))
        look(first, topic)
        first.produce(topic, b"more of first %d" % number)
        second.end(commit=commit_second)
        look(first, topic)
        first.end(commit=commit_first)
        look(first, topic)
    for offset in range(0, 40, 3):
        for level in (0, 1):
            note_fetch(first, fetching(topic, level, offset), 11)
    for version in range(4, 13):
        note_fetch(first, fetching(topic, 1), version)


def commit_offsets(talk: Talk) -> None:
    """Invisible until the transaction ends, unstable for those who ask for stable ones."""
    producer = Producer(talk)
    topic = talk.topic(2)
    talk.coordinator(producer.name)
    producer.init()
    for version in range(5):  # before the group is part of the transaction
        producer.ask(committing(producer, topic), version, TxnOffsetCommitResponse)
    offsets = AddOffsetsToTxnRequest(
        transactional_id=producer.name,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        group_id=producer.name,
    )
    for commit in (True, False):
        for version in range(6):
            if version < 5:
                assert talk.client.call(offsets, 3, AddOffsetsToTxnResponse).error_code == 0
            number = version + 10 * commit
            for request in (
                committing(producer, topic, number),
                committing(producer, "missing", number),
                committing(producer, topic, number, partition=9),
                committing(producer, topic, number, metadata="x" * 5_000),
                committing(producer, topic, number, group=""),
            ):
                producer.ask(request, version, TxnOffsetCommitResponse)
            producer.describe()
            fetch_offsets(producer, topic)
            producer.end(commit=commit)
            fetch_offsets(producer, topic)
    for more, epoch in ((100_000, 0), (0, -1), (0, 1)):
        for version in range(6):
            request = committing(producer, topic)
            request.producer_id += more
            request.producer_epoch += epoch
            producer.ask(request, version, TxnOffsetCommitResponse)


def fetch_offsets(producer: Producer, topic: str) -> None:
    for stable in (True, False):
        for version in (8, 9):
            for name in (topic, None):
                ask = committed(producer.name, name, stable=stable)
                producer.ask(ask, version, OffsetFetchResponse)
        old = OffsetFetchRequest(
            group_id=producer.name,
            topics=[],
            require_stable=stable,
        )
        producer.ask(old, 7, OffsetFetchResponse)


def commit_offsets_of_members(talk: Talk) -> None:
    """Who is no member, or of another generation, is fenced (KIP-447)."""
    producer = Producer(talk)
    topic = talk.topic()
    talk.coordinator(producer.name)
    member = talk.member(producer.name, instance="i")
    producer.init()
    for version in range(6):
        for generation, who, instance in (
            (1, member, None),
            (1, member, "i"),
            (1, "nobody", None),
            (1, "nobody", "i"),
            (1, member, "j"),
            (2, member, None),
            (0, member, None),
            (1, "", None),
            (-1, member, None),
            (-1, "", None),
        ):
            producer_request = AddOffsetsToTxnRequest(
                transactional_id=producer.name,
                producer_id=producer.id,
                producer_epoch=producer.epoch,
                group_id=producer.name,
            )
            assert talk.client.call(producer_request, 3, AddOffsetsToTxnResponse).error_code == 0
            request = committing(producer, topic, generation=generation, member=who, instance=instance)
            producer.ask(request, version, TxnOffsetCommitResponse)
    strange = AddOffsetsToTxnRequest(
        transactional_id=producer.name,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        group_id=f"{producer.name}-unknown",
    )
    assert talk.client.call(strange, 3, AddOffsetsToTxnResponse).error_code == 0
    talk.coordinator(f"{producer.name}-unknown")
    for generation, who in ((1, "m"), (-1, ""), (-1, "m")):
        request = committing(
            producer, topic, group=f"{producer.name}-unknown", generation=generation, member=who
        )
        producer.ask(request, 3, TxnOffsetCommitResponse)


def fence_an_open_transaction(talk: Talk) -> None:
    """A newcomer has the old transaction aborted; the old producer can do nothing any more."""
    producer = Producer(talk)
    topic = talk.topic()
    talk.coordinator(producer.name)
    producer.init()
    producer.add((topic, 0))
    producer.produce(topic)
    producer.ask(init(producer.name), 4, InitProducerIdResponse)
    producer.settle()
    producer.describe()
    for version in (0, 1, 2, 3, 4, 5):
        producer.ask(producer.ending(), version, EndTxnResponse)
    for version in (0, 1, 2, 3):
        producer.ask(producer.adding((topic, 0)), version, AddPartitionsToTxnResponse)
    for version in (9, 11, 12):
        request = producing(producer.name, topic, producer.batch(topic, b"late"))
        producer.ask(request, version, ProduceResponse)
    for version in (0, 3, 4, 5):
        producer.ask(committing(producer, topic), version, TxnOffsetCommitResponse)
    producer.ask(init(producer.name, 60_000, producer.id, producer.epoch), 4, InitProducerIdResponse)
    producer.ask(init(producer.name), 4, InitProducerIdResponse)
    producer.describe()
    look(producer, topic)


def time_out(talk: Talk) -> None:
    """The broker aborts, and the producer is fenced."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init(timeout_ms=100)
    producer.add((topic, 0))
    producer.produce(topic)
    deadline = time.monotonic() + WITHIN_S
    ask = DescribeTransactionsRequest(transactional_ids=[producer.name])
    while (
        talk.client.call(ask, 0, DescribeTransactionsResponse).transaction_states[0].transaction_state
        != "CompleteAbort"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    producer.describe()
    for version in (1, 2, 4, 5):
        producer.ask(producer.ending(), version, EndTxnResponse)
    producer.ask(init(producer.name, 60_000, producer.id, producer.epoch), 4, InitProducerIdResponse)
    producer.ask(init(producer.name), 4, InitProducerIdResponse)
    producer.describe()
    look(producer, topic)


def list_and_describe(talk: Talk) -> None:
    first, second = Producer(talk, "-a"), Producer(talk, "-b")
    topic = talk.topic(3)
    first.init()
    second.init()
    second.add((topic, 0), (topic, 2))
    names = [first.name, second.name, "unknown", ""]
    first.ask(DescribeTransactionsRequest(transactional_ids=names), 0, DescribeTransactionsResponse)
    both = [first.id, second.id]
    for version in (0, 1, 2):
        for states in ([], ["Empty"], ["Ongoing"], ["Odd"], ["Odd", "Empty"], ["ongoing"]):
            ask = ListTransactionsRequest(state_filters=states, producer_id_filters=both)
            first.ask(ask, version, ListTransactionsResponse)
    for duration in (0, 1, 100_000_000):
        time.sleep(0.01)
        ask = ListTransactionsRequest(producer_id_filters=both, duration_filter=duration)
        first.ask(ask, 1, ListTransactionsResponse)
    for pattern in (None, "", ".*-a", "-a", ".*like.*", "list-and-describe-[ab]", "(", "a{2"):
        ask = ListTransactionsRequest(producer_id_filters=both, transactional_id_pattern=pattern)
        first.ask(ask, 2, ListTransactionsResponse)


def describe_producers(talk: Talk) -> None:
    producer = Producer(talk)
    topic = talk.topic()
    ask = DescribeProducersRequest(topics=[TopicRequest(name=topic, partition_indexes=[0, 5])])
    producer.init()
    producer.add((topic, 0))
    producer.ask(ask, 0, DescribeProducersResponse)
    for commit in (True, False):
        producer.produce(topic, count=2)
        producer.ask(ask, 0, DescribeProducersResponse)
        producer.end(commit=commit)
        note_producers(producer, ask)
        producer.add((topic, 0))


def note_producers(producer: Producer, ask: DescribeProducersRequest) -> None:
    """The coordinator's epoch is Kafka's business: it has been elected, Rota's has not."""
    response = producer.talk.client.call(ask, 0, DescribeProducersResponse)
    for partition in response.topics[0].partitions:
        for each in partition.active_producers:
            each.coordinator_epoch = min(each.coordinator_epoch, 0)
    producer.note(ask, 0, response)


def write_markers(talk: Talk) -> None:
    """As an operator does who aborts a transaction that hangs in a partition."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    producer.add((topic, 0))
    producer.produce(topic)

    def marker(partition: int, *, commit: bool = False, epoch: int = 0, name: str = topic) -> Message:
        return WriteTxnMarkersRequest(
            markers=[
                WritableTxnMarker(
                    producer_id=producer.id,
                    producer_epoch=producer.epoch + epoch,
                    transaction_result=commit,
                    topics=[WritableTxnMarkerTopic(name=name, partition_indexes=[partition])],
                    coordinator_epoch=1_000,
                )
            ]
        )

    producer.ask(marker(9), 1, WriteTxnMarkersResponse)
    producer.ask(marker(0, name="missing"), 1, WriteTxnMarkersResponse)
    producer.ask(marker(0), 1, WriteTxnMarkersResponse)
    look(producer, topic)
    producer.describe()
    producer.ask(marker(0), 1, WriteTxnMarkersResponse)
    producer.ask(marker(0, epoch=2), 1, WriteTxnMarkersResponse)
    producer.ask(marker(0, epoch=1), 1, WriteTxnMarkersResponse)
    look(producer, topic)


CASES: tuple[Callable[[Talk], None], ...] = (
    find_the_coordinator,
    init_with_odd_arguments,
    init_again_and_again,
    add_partitions,
    add_partitions_as_brokers_do,
    add_offsets,
    end_what_never_began,
    end_twice,
    end_with_new_epochs,
    produce_outside_a_transaction,
    produce_with_other_ids,
    read_committed,
    commit_offsets,
    commit_offsets_of_members,
    fence_an_open_transaction,
    time_out,
    list_and_describe,
    describe_producers,
    write_markers,
)
