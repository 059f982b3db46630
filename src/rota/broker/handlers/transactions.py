"""What the transaction coordinator answers, in one place because nothing is done here but handing over.

AddPartitionsToTxn (24, v0-5), AddOffsetsToTxn (25, v0-4), EndTxn (26, v0-5), DescribeTransactions (65, v0),
ListTransactions (66, v0-2). The rules are in ``rota.coordinator.transactions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["handle"]


def handle(broker: Broker, message: Message, request: Request) -> Message:
    return broker.transactions.handle(message, request)
