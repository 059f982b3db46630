"""What a producer is told of a transaction that does not take its batch, or its offsets."""

from __future__ import annotations

from rota.model import ErrorCode

__all__ = ["told_to_producer"]


def told_to_producer(code: ErrorCode, *, knows_abortable: bool) -> ErrorCode:
    """The coordinator's answer as writers hear it; ``knows_abortable``: their version has TRANSACTION_ABORTABLE."""
    if code == ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if code == ErrorCode.TRANSACTION_ABORTABLE and not knows_abortable:
        return ErrorCode.INVALID_TXN_STATE
    return code
