"""InitProducerId (key 22), versions 0-5: an id for an idempotent or transactional producer (KIP-98).

Version notes: v2 flexible; v3 the producer's current id and epoch (KIP-360); v4 PRODUCER_FENCED; v5 for KIP-890. With a
transactional id it is the transaction coordinator that answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["handle"]


def handle(broker: Broker, message: InitProducerIdRequest, request: Request) -> Message:
    if message.transactional_id is not None:
        return broker.transactions.handle(message, request)
    if (message.producer_id == -1) != (message.producer_epoch == -1):
        return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_id=-1, producer_epoch=-1)
    try:
        return InitProducerIdResponse(producer_id=broker.next_producer_id(), producer_epoch=0)
    except KafkaError as error:
        return InitProducerIdResponse(error_code=error.code, producer_id=-1, producer_epoch=-1)
