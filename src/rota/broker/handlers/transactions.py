"""DescribeTransactions (65, v0) and ListTransactions (66, v0-2): there are no transactions, and that is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TransactionState,
)
from rota.wire.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_STATES = {
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
}


def handle(
    _broker: Broker, message: DescribeTransactionsRequest | ListTransactionsRequest, _request: Request
) -> DescribeTransactionsResponse | ListTransactionsResponse:
    if isinstance(message, ListTransactionsRequest):
        unknown = [state for state in message.state_filters if state not in _STATES]
        return ListTransactionsResponse(unknown_state_filters=unknown)
    return DescribeTransactionsResponse(
        transaction_states=[
            TransactionState(
                error_code=ErrorCode.TRANSACTIONAL_ID_NOT_FOUND,
                transactional_id=transactional_id,
                producer_id=-1,
                producer_epoch=-1,
                transaction_start_time_ms=-1,
            )
            for transactional_id in message.transactional_ids
        ]
    )
