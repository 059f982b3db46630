"""Which transactions keep readers of committed records waiting: asked of partitions' leaders and of coordinators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import RotaError, TopicPartition
from rota.monitor.doctor import OpenTransaction

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.admin import Admin
    from rota.monitor.facts import ProducerFacts, TransactionFacts

__all__ = ["open_transactions"]


def open_transactions(admin: Admin, partitions: Collection[TopicPartition]) -> tuple[OpenTransaction, ...]:
    """Those that are open in these partitions, in order of partitions.

    Raises:
        RotaError: nobody could say who writes to any of them.
    """
    if not partitions:
        return ()
    answers = admin.producers(partitions)
    open_: list[tuple[TopicPartition, ProducerFacts]] = []
    failure: RotaError | None = None
    for each, producers in sorted(answers.items()):
        if isinstance(producers, RotaError):
            failure = producers
        else:
            open_ += [(each, producer) for producer in producers if producer.transaction_start is not None]
    if failure is not None and not open_:
        raise failure
    known = _coordinators_word(admin, {producer.producer_id for _, producer in open_})
    return tuple(_told(each, producer, known) for each, producer in open_)


def _coordinators_word(admin: Admin, producer_ids: Collection[int]) -> dict[int, TransactionFacts] | None:
    """What coordinators say of these producers, by id; None where not all of them could be asked."""
    if not producer_ids:
        return {}
    try:
        names, failure = admin.list_transactions(producer_ids=producer_ids)
        found = {} if failure is not None or not names else admin.transactions(names)
    except RotaError:
        return None
    if failure is not None or any(isinstance(facts, RotaError) for facts in found.values()):
        return None
    return {facts.producer_id: facts for facts in found.values() if not isinstance(facts, RotaError)}


def _told(
    partition: TopicPartition, producer: ProducerFacts, known: dict[int, TransactionFacts] | None
) -> OpenTransaction:
    assert producer.transaction_start is not None
    facts = None if known is None else known.get(producer.producer_id)
    # A coordinator that has gone on to another transaction does not know this one any more.
    ours = facts is not None and facts.state == "Ongoing" and partition in facts.partitions
    return OpenTransaction(
        partition,
        producer.producer_id,
        producer.producer_epoch,
        producer.transaction_start,
        coordinator_epoch=producer.coordinator_epoch,
        written_ms=producer.last_timestamp_ms,
        transactional_id=None if facts is None else facts.transactional_id,
        state=None if known is None else "" if facts is None else facts.state,
        since_ms=facts.since_ms if facts is not None and ours else None,
        timeout_ms=None if facts is None else facts.timeout_ms,
    )
