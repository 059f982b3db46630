"""TxnOffsetCommit (key 28), versions 0-5: see ``rota.coordinator.transactional_commit`` for the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.offset_transactions import commit_offsets

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse

__all__ = ["handle"]


def handle(broker: Broker, message: TxnOffsetCommitRequest, request: Request) -> TxnOffsetCommitResponse:
    return commit_offsets(broker, message, request)
