"""Offsets that transactions commit: invisible, and unstable, until the marker."""

from __future__ import annotations

import pytest
from tests.coordinator.simulation import Simulation

from rota.coordinator import Context
from rota.coordinator.pending_offsets import InTransaction
from rota.model import ErrorCode as E
from rota.model import TopicPartition
from rota.timeline.events import OffsetCommitted
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from rota.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)

ORDERS_0 = TopicPartition("orders", 0)
FIRST, SECOND = InTransaction(1, 7), InTransaction(2, 7)


class Transactional(Simulation):
    """A group whose offsets are committed in transactions as well."""

    def commit_in(self, transaction: InTransaction, offset: int, **member: object) -> int:
        """The error code; what is recorded is replayed as part of the transaction."""
        partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        request = TxnOffsetCommitRequest(
            transactional_id="x",
            group_id="g",
            producer_id=transaction.producer_id,
            topics=[TxnOffsetCommitRequestTopic(name="orders", partitions=[partition])],
        )
        for name, value in member.items():
            setattr(request, name, value)
        outcome = self.coordinator.commit_in_transaction(request, Context(1, 3, "c", "/h", self.now_ms))
        for record in outcome.records:
            self.coordinator.replay(record, self.now_ms, transaction)
        (reply,) = outcome.replies
        assert isinstance(reply.response, TxnOffsetCommitResponse)
        return reply.response.topics[0].partitions[0].error_code

    def end(self, transaction: InTransaction, *, commit: bool) -> tuple[OffsetCommitted, ...]:
        return self.coordinator.end_transaction(transaction, self.now_ms, committed=commit)

    def fetched(self, *, stable: bool) -> tuple[int, int]:
        """Error code and offset."""
        topics = [OffsetFetchRequestTopics(name="orders", partition_indexes=[0])]
        request = OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(group_id="g", topics=topics)], require_stable=stable
        )
        outcome = self.coordinator.handle(request, Context(1, 8, "c", "/h", self.now_ms))
        response = outcome.replies[0].response
        assert isinstance(response, OffsetFetchResponse)
        found = response.groups[0].topics[0].partitions[0]
        return found.error_code, found.committed_offset


@pytest.fixture
def sim() -> Transactional:
    return Transactional()


def test_pending_to_committed(sim: Transactional) -> None:
    assert sim.commit_in(FIRST, 5) == E.NONE
    assert sim.fetched(stable=True) == (E.UNSTABLE_OFFSET_COMMIT, -1)
    assert sim.fetched(stable=False) == (E.NONE, -1)
    assert sim.end(FIRST, commit=True) == (OffsetCommitted(sim.now_ms, "g", "", "orders", 0, 5),)
    assert sim.fetched(stable=True) == (E.NONE, 5)


def test_pending_to_nothing(sim: Transactional) -> None:
    sim.commit({ORDERS_0: 3}, "g")
    sim.commit_in(FIRST, 5)
    assert sim.fetched(stable=False) == (E.NONE, 3)
    assert sim.end(FIRST, commit=False) == ()
    assert sim.fetched(stable=True) == (E.NONE, 3)


def test_a_marker_of_another_partition_or_producer_decides_nothing(sim: Transactional) -> None:
    sim.commit_in(FIRST, 5)
    for other in (SECOND, FIRST._replace(partition=8)):
        assert sim.end(other, commit=True) == ()
    assert sim.fetched(stable=True) == (E.UNSTABLE_OFFSET_COMMIT, -1)


def test_the_last_commit_in_the_log_counts(sim: Transactional) -> None:
    sim.commit_in(FIRST, 5)
    sim.commit_in(SECOND, 6)
    sim.commit({ORDERS_0: 4}, "g")
    sim.commit_in(SECOND, 7)
    sim.end(SECOND, commit=True)
    assert sim.fetched(stable=False) == (E.NONE, 7)
    assert sim.fetched(stable=True) == (E.UNSTABLE_OFFSET_COMMIT, -1)
    assert sim.end(FIRST, commit=True) == ()
    assert sim.fetched(stable=True) == (E.NONE, 7)


def test_pending_offsets_keep_a_group_from_expiring(sim: Transactional) -> None:
    sim.commit({ORDERS_0: 3}, "g")
    sim.commit_in(FIRST, 5)
    much_later = sim.now_ms + sim.coordinator.config.offsets_retention_ms + 1
    assert not sim.coordinator.expire_offsets(much_later).records
    sim.end(FIRST, commit=False)
    assert [record.value for record in sim.coordinator.expire_offsets(much_later).records] == [None, None]


def test_members_of_another_generation_are_fenced(sim: Transactional) -> None:
    """KIP-447; but a rebalance that has begun is no reason to refuse."""
    assert sim.commit_in(FIRST, 5, generation_id=1, member_id="m") == E.ILLEGAL_GENERATION
    assert sim.commit_in(FIRST, 5, group_id="") == E.INVALID_GROUP_ID
    sim.commit({ORDERS_0: 3}, "g")
    assert sim.commit_in(FIRST, 5, generation_id=1, member_id="m") == E.UNKNOWN_MEMBER_ID
    assert sim.commit_in(FIRST, 5) == E.NONE
