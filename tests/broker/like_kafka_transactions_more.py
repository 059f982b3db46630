"""More conversations about transactions: with other commits, other versions, other segments, other producers' ways."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.broker.like_kafka_groups import commit
from tests.broker.talk import Talk
from tests.broker.transactional_talk import (
    Producer,
    committed,
    committing,
    fetching,
    init,
    listing,
    look,
    note_fetch,
    producing,
)

from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from rota.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from rota.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from rota.wire.messages.end_txn import EndTxnResponse
from rota.wire.messages.init_producer_id import InitProducerIdResponse
from rota.wire.messages.list_offsets import ListOffsetsResponse
from rota.wire.messages.offset_commit import OffsetCommitResponse
from rota.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from rota.wire.messages.offset_fetch import OffsetFetchResponse
from rota.wire.messages.produce import ProduceResponse
from rota.wire.messages.txn_offset_commit import TxnOffsetCommitResponse
from rota.wire.records import build_batch

__all__ = ["CASES"]


def join_group(producer: Producer, group: str) -> None:
    """Make a group's offsets part of the transaction."""
    request = AddOffsetsToTxnRequest(
        transactional_id=producer.name,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        group_id=group,
    )
    assert producer.talk.client.call(request, 3, AddOffsetsToTxnResponse).error_code == 0


def fetch_offsets(producer: Producer, group: str, topic: str) -> None:
    for stable in (True, False):
        producer.ask(committed(group, topic, stable=stable), 8, OffsetFetchResponse)
        producer.ask(committed(group, None, stable=stable), 8, OffsetFetchResponse)


def commits_of_all_kinds(talk: Talk) -> None:
    """Two transactions and one ordinary commit for the same partition: the last in the log counts."""
    first, second = Producer(talk, "-1"), Producer(talk, "-2")
    topic, group = talk.topic(), talk.name
    talk.coordinator(group)
    first.init()
    second.init()
    for order in ("pfs", "fps", "fsp", "sf", "fs"):
        for producer in (first, second):
            join_group(producer, group)
        for number, who in enumerate(order, 10 * len(order)):
            if who == "p":
                ordinary = commit(group, topic, -1, "")
                ordinary.topics[0].partitions[0].committed_offset = number
                talk.client.call(ordinary, 8, OffsetCommitResponse)
            else:
                producer = first if who == "f" else second
                request = committing(producer, topic, number, group=group)
                talk.client.call(request, 3, TxnOffsetCommitResponse)
        fetch_offsets(first, group, topic)
        second.end()
        fetch_offsets(first, group, topic)
        first.end()
        fetch_offsets(first, group, topic)


def pending_offsets_are_deleted(talk: Talk) -> None:
    producer = Producer(talk)
    topic, group = talk.topic(), talk.name
    talk.coordinator(group)
    producer.init()
    one = OffsetDeleteRequest(
        group_id=group,
        topics=[
            OffsetDeleteRequestTopic(name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=0)])
        ],
    )
    for is_first in (True, False):
        join_group(producer, group)
        producer.ask(committing(producer, topic, 7), 3, TxnOffsetCommitResponse)
        producer.ask(one, 0, OffsetDeleteResponse)
        fetch_offsets(producer, group, topic)
        producer.end()
        fetch_offsets(producer, group, topic)
        if is_first:
            join_group(producer, group)
            producer.ask(committing(producer, topic, 8), 3, TxnOffsetCommitResponse)
    producer.ask(DeleteGroupsRequest(groups_names=[group]), 2, DeleteGroupsResponse)
    join_group(producer, group)
    producer.ask(committing(producer, topic, 9), 3, TxnOffsetCommitResponse)
    fetch_offsets(producer, group, topic)
    producer.ask(DeleteGroupsRequest(groups_names=[group]), 2, DeleteGroupsResponse)
    fetch_offsets(producer, group, topic)
    producer.end()
    fetch_offsets(producer, group, topic)


def sequences(talk: Talk) -> None:
    """In order, sent again, with a gap; and from 0 again in a new epoch."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()

    def batch(sequence: int, epoch: int = 0) -> bytes:
        return bytes(
            build_batch(
                [(b"k", b"v", 1_000, [])],
                producer_id=producer.id,
                producer_epoch=producer.epoch + epoch,
                base_sequence=sequence,
                transactional=True,
            )
        )

    for version in (9, 12):
        if version < 12:
            producer.add((topic, 0))
        for sequence in (0, 1, 1, 0, 3, 2, 1):
            request = producing(producer.name, topic, batch(sequence))
            response = talk.client.call(request, version, ProduceResponse)
            response.responses[0].partition_responses[0].log_append_time_ms = -1
            producer.note(request, version, response)
        producer.end(version=3 if version == 9 else 5)
        producer.ask(producing(producer.name, topic, batch(2)), version, ProduceResponse)
        producer.ask(producing(producer.name, topic, batch(3, epoch=-1)), version, ProduceResponse)
        producer.init()
    look(producer, topic)


def old_and_new_epochs_by_turns(talk: Talk) -> None:
    """Whoever adds in the new way may end in the old one, and the other way round."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    for adds, ends in ((9, 5), (12, 3), (12, 5), (9, 3), (12, 4)):
        for is_commit in (True, False):
            if adds == 9:
                producer.add((topic, 0))
            producer.produce(topic, version=adds)
            producer.describe()
            before = producer.epoch
            response = producer.ask(producer.ending(commit=is_commit), ends, EndTxnResponse)
            producer.settle()
            producer.describe()
            if ends == 5:
                producer.id, producer.epoch = response.producer_id, response.producer_epoch
            for epoch in {before, producer.epoch}:
                request = init(producer.name, 60_000, producer.id, epoch)
                got = producer.ask(request, 5, InitProducerIdResponse)
                if not got.error_code:
                    producer.id, producer.epoch = got.producer_id, got.producer_epoch
    look(producer, topic)


def in_one_segment(talk: Talk) -> None:
    """With records of today, whose markers need no new segment: little by little, and from every offset."""
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    now_ms = int(time.time() * 1000)
    for number in range(6):
        producer.add((topic, 0))
        for sequence in (2 * number, 2 * number + 1):
            batch = build_batch(
                [(b"k", b"%d" % number, now_ms, [])],
                producer_id=producer.id,
                producer_epoch=producer.epoch,
                base_sequence=sequence,
                transactional=True,
            )
            request = producing(producer.name, topic, bytes(batch))
            assert (
                not talk.client.call(request, 9, ProduceResponse)
                .responses[0]
                .partition_responses[0]
                .error_code
            )
        if number < 5:
            producer.end(commit=number % 3 == 0)
    for offset in range(19):
        for level in (0, 1):
            note_fetch(producer, fetching(topic, level, offset), 11)
    for level in (0, 1):
        for timestamp in (-1, -2, now_ms + 10_000_000):
            producer.ask(listing(topic, level, timestamp), 7, ListOffsetsResponse)


def records_of_an_open_transaction_are_deleted(talk: Talk) -> None:
    producer = Producer(talk)
    topic = talk.topic()
    producer.init()
    producer.add((topic, 0))
    producer.produce(topic, count=2)
    producer.produce(topic)
    for offset in (2, -1):
        wanted = DeleteRecordsPartition(partition_index=0, offset=offset)
        ask = DeleteRecordsRequest(
            topics=[DeleteRecordsTopic(name=topic, partitions=[wanted])], timeout_ms=10_000
        )
        producer.ask(ask, 2, DeleteRecordsResponse)
        for level in (0, 1):
            producer.ask(listing(topic, level, -1), 7, ListOffsetsResponse)
            producer.ask(listing(topic, level, -2), 7, ListOffsetsResponse)
            note_fetch(producer, fetching(topic, level, 2), 11)
            note_fetch(producer, fetching(topic, level, 3), 11)
    producer.end()
    for level in (0, 1):
        note_fetch(producer, fetching(topic, level, 3), 11)


CASES: tuple[Callable[[Talk], None], ...] = (
    commits_of_all_kinds,
    pending_offsets_are_deleted,
    sequences,
    old_and_new_epochs_by_turns,
    in_one_segment,
    records_of_an_open_transaction_are_deleted,
)
