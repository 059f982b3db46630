"""Who writes to partitions, and which transactions are open: DescribeProducers, ListTransactions (KIP-664)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from rota.admin.asking import Question
from rota.admin.errors import ConnectionFailedError, error_of, is_moving, refusal
from rota.admin.routing import TRANSACTION
from rota.model import KafkaError, RotaError, TopicPartition
from rota.monitor.facts import ProducerFacts, TransactionFacts
from rota.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)
from rota.wire.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from rota.wire.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers
    from rota.admin.topics import Topics
    from rota.wire.messages.describe_producers import ProducerState
    from rota.wire.messages.describe_transactions import TransactionState

__all__ = ["list_transactions", "producers", "transactions"]


async def producers(
    brokers: Brokers, topics: Topics, partitions: Collection[TopicPartition], timeout_s: float
) -> dict[TopicPartition, tuple[ProducerFacts, ...] | RotaError]:
    """Who has written to each partition of late, as its leader knows."""

    async def ask(
        connection: Connection, batch: list[TopicPartition]
    ) -> dict[TopicPartition, tuple[ProducerFacts, ...] | KafkaError]:
        by_topic: defaultdict[str, list[int]] = defaultdict(list)
        for tp in batch:
            by_topic[tp.topic].append(tp.partition)
        wanted = [TopicRequest(name=name, partition_indexes=numbers) for name, numbers in by_topic.items()]
        answer = await connection.ask(DescribeProducersRequest(topics=wanted), DescribeProducersResponse)
        return {
            TopicPartition(topic.name, part.partition_index): error_of(part.error_code, part.error_message)
            or tuple(map(_producer, part.active_producers))
            for topic in answer.topics
            for part in topic.partitions
        }

    question = Question(
        brokers,
        places=topics.leaders,
        forget=topics.forget,
        ask=ask,
        doing=lambda tp: f"ask for the producers of partition {tp}",
    )
    return await question.answer(partitions, timeout_s)


def _producer(each: ProducerState) -> ProducerFacts:
    return ProducerFacts(
        producer_id=each.producer_id,
        producer_epoch=each.producer_epoch,
        transaction_start=_known(each.current_txn_start_offset),
        last_timestamp_ms=_known(each.last_timestamp),
        last_sequence=_known(each.last_sequence),
        coordinator_epoch=_known(each.coordinator_epoch),
    )


def _known(number: int) -> int | None:
    return number if number >= 0 else None


async def list_transactions(
    brokers: Brokers, states: Collection[str], producer_ids: Collection[int], timeout_s: float
) -> tuple[tuple[str, ...], RotaError | None]:
    """Transactional ids in these states and of these producers; and why some may be missing."""
    await brokers.learn_nodes()
    request = ListTransactionsRequest(state_filters=list(states), producer_id_filters=list(producer_ids))

    async def ask(number: int) -> list[str]:
        async with asyncio.timeout(timeout_s):
            answer = await (await brokers.node(number)).ask(request, ListTransactionsResponse)
        if (error := error_of(answer.error_code)) is not None:
            raise error
        return [each.transactional_id for each in answer.transaction_states]

    numbers = list(brokers.nodes)
    answers = await asyncio.gather(*map(ask, numbers), return_exceptions=True)
    found: set[str] = set()
    failure: RotaError | None = None
    for number, answer in zip(numbers, answers, strict=True):
        if isinstance(answer, TimeoutError) or is_moving(answer):
            failure = RotaError(
                f"broker {number} of {brokers.bootstrap} does not answer: its transactions are missing"
            )
        elif isinstance(answer, KafkaError | ConnectionFailedError):
            failure = refusal(answer, f"list the transactions at {brokers.bootstrap}")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found.update(answer)
    return tuple(sorted(found)), failure


async def transactions(
    brokers: Brokers, ids: Collection[str], timeout_s: float
) -> dict[str, TransactionFacts | RotaError]:
    """Each of these transactional ids, as its coordinator knows it."""

    async def ask(connection: Connection, batch: list[str]) -> dict[str, TransactionFacts | KafkaError]:
        request = DescribeTransactionsRequest(transactional_ids=batch)
        answer = await connection.ask(request, DescribeTransactionsResponse)
        at = brokers.node_at(connection)
        return {
            each.transactional_id: error_of(each.error_code) or _transaction(each, at.id if at else None)
            for each in answer.transaction_states
        }

    question = Question(
        brokers,
        places=lambda names: brokers.coordinators(names, TRANSACTION),
        forget=lambda names: brokers.forget(names, TRANSACTION),
        ask=ask,
        doing=lambda name: f"describe the transactions of {name}",
    )
    return await question.answer(ids, timeout_s)


def _transaction(each: TransactionState, coordinator: int | None) -> TransactionFacts:
    return TransactionFacts(
        transactional_id=each.transactional_id,
        state=each.transaction_state,
        producer_id=each.producer_id,
        producer_epoch=each.producer_epoch,
        timeout_ms=each.transaction_timeout_ms,
        since_ms=_known(each.transaction_start_time_ms),
        partitions=tuple(
            sorted(
                TopicPartition(topic.topic, number) for topic in each.topics for number in topic.partitions
            )
        ),
        coordinator=coordinator,
    )
