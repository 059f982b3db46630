"""ListTransactions (key 66, v0-2) and DescribeTransactions (key 65, v0): what an operator sees (KIP-664).

Version notes: ListTransactions v1 selects by how long a transaction has been open (KIP-994), v2 by a pattern of the
transactional id (KIP-1152), which must match the whole of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.transactions.states import NAMES
from rota.model import ErrorCode
from rota.wire.messages.describe_transactions import (
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)
from rota.wire.messages.list_transactions import ListTransactionsResponse
from rota.wire.messages.list_transactions import TransactionState as ListedTransaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.coordinator.re2 import Pattern
    from rota.coordinator.transactions.outcome import Transaction
    from rota.wire.messages.describe_transactions import DescribeTransactionsRequest
    from rota.wire.messages.list_transactions import ListTransactionsRequest

__all__ = ["describe_transactions", "list_transactions"]

_BY_NAME = {name: state for state, name in NAMES.items()}


def list_transactions(
    transactions: Mapping[str, Transaction], request: ListTransactionsRequest, now_ms: int
) -> ListTransactionsResponse:
    """Those that pass every filter."""
    unknown = [name for name in request.state_filters if name not in _BY_NAME]
    states = {_BY_NAME[name] for name in request.state_filters if name in _BY_NAME}
    pattern: Pattern | None = None
    if request.transactional_id_pattern:
        from rota.coordinator.re2 import PatternError, compile_pattern

        try:
            pattern = compile_pattern(request.transactional_id_pattern)
        except PatternError:
            return ListTransactionsResponse(error_code=ErrorCode.INVALID_REGULAR_EXPRESSION)
    found = [
        ListedTransaction(
            transactional_id=each.transactional_id,
            producer_id=each.producer_id,
            transaction_state=NAMES[each.state],
        )
        for each in transactions.values()
        if (not request.producer_id_filters or each.producer_id in request.producer_id_filters)
        and (not request.state_filters or each.state in states)
        and (request.duration_filter < 0 or now_ms - each.start_ms > request.duration_filter)
        and (pattern is None or pattern.matches(each.transactional_id))
    ]
    return ListTransactionsResponse(unknown_state_filters=unknown, transaction_states=found)


def describe_transactions(
    transactions: Mapping[str, Transaction], request: DescribeTransactionsRequest
) -> DescribeTransactionsResponse:
    """Each that is named."""
    return DescribeTransactionsResponse(
        transaction_states=[_describe(transactions, name) for name in request.transactional_ids]
    )


def _describe(transactions: Mapping[str, Transaction], name: str) -> TransactionState:
    found = transactions.get(name)
    if found is None:
        code = ErrorCode.TRANSACTIONAL_ID_NOT_FOUND if name else ErrorCode.INVALID_REQUEST
        return TransactionState(transactional_id=name, error_code=code)
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(found.partitions):
        topics.setdefault(topic, []).append(partition)
    return TransactionState(
        transactional_id=name,
        transaction_state=NAMES[found.state],
        transaction_timeout_ms=found.timeout_ms,
        transaction_start_time_ms=found.start_ms,
        producer_id=found.producer_id,
        producer_epoch=found.producer_epoch,
        topics=[TopicData(topic=topic, partitions=partitions) for topic, partitions in topics.items()],
    )
