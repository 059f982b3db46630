"""Transactions across restarts and failures of the disk, and what others see of one that is open."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.broker.transactional_talk import Producer, committed, committing, fetching
from tests.kafka.ports import PATIENCE_S

from rota.broker.transactions import Transactions
from rota.coordinator import partition_for
from rota.model import ErrorCode, TopicPartition
from rota.storage import AppendInfo, Log
from rota.testing import Broker
from rota.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from rota.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from rota.wire.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from rota.wire.messages.end_txn import EndTxnResponse
from rota.wire.messages.fetch import FetchResponse
from rota.wire.messages.offset_fetch import OffsetFetchResponse
from rota.wire.messages.txn_offset_commit import TxnOffsetCommitResponse
from rota.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from rota.wire.records import build_batch, iter_batches, iter_records

UNSTABLE = ErrorCode.UNSTABLE_OFFSET_COMMIT


@pytest.fixture
def talk() -> Iterator[Talk]:
    with Broker() as broker, RawClient(broker.bootstrap_servers) as client:
        yield Talk(client, "x", broker.bootstrap_servers)


def connect(broker: Broker, name: str = "x") -> Talk:
    return Talk(RawClient(broker.bootstrap_servers), name, broker.bootstrap_servers)


def open_transaction(talk: Talk, *, offset: int = 5) -> Producer:
    """One record in topic ``x``, and an offset of group ``x``."""
    topic = talk.topic()
    producer = Producer(talk)
    producer.init()
    producer.add((topic, 0))
    producer.produce(topic, b"value")
    commit_offset(producer, offset)
    return producer


def commit_offset(producer: Producer, offset: int) -> None:
    group = AddOffsetsToTxnRequest(
        transactional_id=producer.name,
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        group_id=producer.name,
    )
    assert producer.talk.client.call(group, 3, AddOffsetsToTxnResponse).error_code == 0
    request = committing(producer, "x", offset)
    answer = producer.talk.client.call(request, 3, TxnOffsetCommitResponse)
    assert answer.topics[0].partitions[0].error_code == 0


def values(talk: Talk, level: int = 1) -> list[bytes | None]:
    """What is in topic ``x`` up to its last stable offset; what was aborted is not taken out."""
    data = talk.client.call(fetching("x", level), 11, FetchResponse).responses[0].partitions[0]
    found = []
    for position, header in iter_batches(data.records or b""):
        if not header.is_control:
            found += [record.value for record in iter_records(data.records, position)]
    return [] if data.aborted_transactions else found


def offset_of(talk: Talk, *, stable: bool = True) -> tuple[int, int]:
    """Error code and offset of group ``x``."""
    answer = talk.client.call(committed("x", "x", stable=stable), 8, OffsetFetchResponse)
    found = answer.groups[0].topics[0].partitions[0]
    return found.error_code, found.committed_offset


def state(talk: Talk, name: str = "x") -> str:
    ask = DescribeTransactionsRequest(transactional_ids=[name])
    return talk.client.call(ask, 0, DescribeTransactionsResponse).transaction_states[0].transaction_state


@pytest.mark.parametrize("commit", [True, False])
def test_what_was_decided_is_carried_out_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: bool
) -> None:
    with Broker(data_dir=tmp_path) as broker:
        talk = connect(broker)
        producer = open_transaction(talk)
        with monkeypatch.context() as patch:
            patch.setattr(Transactions, "_finish", lambda _self, _markers: None)  # it dies before
            answer = talk.client.call(producer.ending(commit=commit), 3, EndTxnResponse)
        assert answer.error_code == 0
        assert state(talk) == ("PrepareCommit" if commit else "PrepareAbort")
        assert (values(talk), offset_of(talk)) == ([], (UNSTABLE, -1))
    with Broker(data_dir=tmp_path) as broker:
        talk = connect(broker)
        assert state(talk) == ("CompleteCommit" if commit else "CompleteAbort")
        assert values(talk) == ([b"value"] if commit else [])
        assert offset_of(talk) == (0, 5 if commit else -1)


@pytest.mark.parametrize("commit", [True, False])
def test_an_open_transaction_goes_on_after_a_restart(tmp_path: Path, commit: bool) -> None:
    with Broker(data_dir=tmp_path) as broker:
        producer = open_transaction(connect(broker))
    with Broker(data_dir=tmp_path) as broker:
        producer.talk = talk = connect(broker)
        assert (values(talk), values(talk, level=0)) == ([], [b"value"])
        assert (offset_of(talk), offset_of(talk, stable=False)) == ((UNSTABLE, -1), (0, -1))
        producer.produce("x", b"more")
        producer.end(commit=commit)
        assert values(talk) == ([b"value", b"more"] if commit else [])
        assert offset_of(talk) == (0, 5 if commit else -1)
    with Broker(data_dir=tmp_path) as broker:
        talk = connect(broker)
        assert values(talk) == ([b"value", b"more"] if commit else [])
        assert offset_of(talk) == (0, 5 if commit else -1)


def test_a_marker_that_cannot_be_written_is_written_later(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = open_transaction(talk)
    write_marker = Transactions.write_marker
    refused: list[TopicPartition] = []

    def refuse_once(self: Transactions, tp: TopicPartition, *args: int, **kwargs: bool) -> ErrorCode:
        if tp not in refused:
            refused.append(tp)
            return ErrorCode.KAFKA_STORAGE_ERROR
        return write_marker(self, tp, *args, **kwargs)

    monkeypatch.setattr(Transactions, "write_marker", refuse_once)
    assert talk.client.call(producer.ending(), 3, EndTxnResponse).error_code == 0
    assert state(talk) == "PrepareCommit"
    again = talk.client.call(producer.ending(), 3, EndTxnResponse)
    assert again.error_code == ErrorCode.CONCURRENT_TRANSACTIONS
    deadline = time.monotonic() + PATIENCE_S
    while state(talk) != "CompleteCommit":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(refused) == 2
    assert (values(talk), offset_of(talk)) == ([b"value"], (0, 5))


def test_where_logs_are_synced_nothing_is_built_on_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is on the disk before the markers are written, these before the record that they are."""
    append, flush = Log.append, Log.flush
    seen: list[str] = []

    def name(log: Log) -> str:
        assert log.directory is not None
        return log.directory.name.rpartition("-")[0]

    def spy_append(self: Log, *args: Any, **kwargs: Any) -> AppendInfo:
        seen.append(f"append {name(self)}")
        return append(self, *args, **kwargs)

    def spy_flush(self: Log) -> None:
        seen.append(f"flush {name(self)}")
        flush(self)

    with Broker(data_dir=tmp_path, configs={"log.flush.interval.messages": "1"}) as broker:
        producer = open_transaction(connect(broker))
        monkeypatch.setattr(Log, "append", spy_append)
        monkeypatch.setattr(Log, "flush", spy_flush)
        producer.end()
        monkeypatch.undo()

    assert seen == [
        "append __transaction_state",
        "flush __transaction_state",
        *("append __consumer_offsets", "append x"),
        *("flush __consumer_offsets", "flush x"),
        "append __transaction_state",
    ]


def test_a_topic_that_is_deleted_needs_no_marker(talk: Talk) -> None:
    producer = open_transaction(talk)
    talk.client.call(DeleteTopicsRequest(topic_names=["x"], timeout_ms=1_000), 5, DeleteTopicsResponse)
    producer.end()
    assert state(talk) == "CompleteCommit"
    assert offset_of(talk) == (0, -1), "offsets of a deleted topic are forgotten, pending ones too"


def test_a_deleted_group_does_not_come_back_with_the_commit(talk: Talk) -> None:
    producer = open_transaction(talk)
    gone = talk.client.call(DeleteGroupsRequest(groups_names=["x"]), 2, DeleteGroupsResponse)
    assert gone.results[0].error_code == 0
    assert offset_of(talk) == (0, -1)
    producer.end()
    assert offset_of(talk) == (0, -1)


def test_the_later_commit_counts_not_the_later_end(talk: Talk) -> None:
    """Two producers commit offsets of one group; the one that committed first ends last."""
    first = open_transaction(talk, offset=5)
    second = Producer(talk, "-second")
    second.init()
    group = AddOffsetsToTxnRequest(
        transactional_id=second.name, producer_id=second.id, producer_epoch=second.epoch, group_id="x"
    )
    assert talk.client.call(group, 3, AddOffsetsToTxnResponse).error_code == 0
    request = committing(second, "x", 8, group="x")
    answer = talk.client.call(request, 3, TxnOffsetCommitResponse)
    assert answer.topics[0].partitions[0].error_code == 0
    second.end()
    assert (offset_of(talk), offset_of(talk, stable=False)) == ((UNSTABLE, -1), (0, 8))
    first.end()
    assert offset_of(talk) == (0, 8)


def test_an_operator_may_end_a_transaction_for_a_group_as_well(talk: Talk) -> None:
    producer = open_transaction(talk)
    marker = WritableTxnMarker(
        producer_id=producer.id,
        producer_epoch=producer.epoch,
        transaction_result=False,
        topics=[
            WritableTxnMarkerTopic(name="__consumer_offsets", partition_indexes=[partition_for("x")]),
        ],
    )
    answer = talk.client.call(WriteTxnMarkersRequest(markers=[marker]), 1, WriteTxnMarkersResponse)
    assert answer.markers[0].topics[0].partitions[0].error_code == 0
    assert offset_of(talk) == (0, -1)


def test_a_record_nobody_can_read_does_not_keep_the_broker_from_starting(tmp_path: Path) -> None:
    with Broker(data_dir=tmp_path) as broker:
        talk = connect(broker)
        producer = open_transaction(talk)
        producer.end()
        # As an administrator's client may do, in Kafka too.
        odd = Talk(
            RawClient(broker.bootstrap_servers, client_id="__admin_client"), "x", broker.bootstrap_servers
        )
        for key in (b"", b"\0\0", b"\0\0\0\1x", b"\0\7"):
            odd.produce("__transaction_state", build_batch([(key, b"\0\1?", 1, [])]))
    with Broker(data_dir=tmp_path) as broker:
        assert state(connect(broker)) == "CompleteCommit"


def test_a_broker_without_transactions_does_not_load_them() -> None:
    program = (
        "import sys, rota.testing\n"
        "with rota.testing.Broker(): pass\n"
        "print([name for name in sys.modules if 'transaction' in name])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
