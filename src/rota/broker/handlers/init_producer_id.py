"""InitProducerId (key 22), versions 0-5: an id for an idempotent producer (KIP-98).

Version notes: v2 flexible; v3 the producer's current id and epoch (KIP-360); v4 PRODUCER_FENCED; v5 for KIP-890.

Known gaps: no transactions: a transactional id is refused with INVALID_REQUEST, which ends the client's attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode, KafkaError
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]


def handle(broker: Broker, message: InitProducerIdRequest, _request: Request) -> InitProducerIdResponse:
    if message.transactional_id is not None:
        return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_id=-1, producer_epoch=-1)
    try:
        return InitProducerIdResponse(producer_id=broker.next_producer_id(), producer_epoch=0)
    except KafkaError as error:
        return InitProducerIdResponse(error_code=error.code, producer_id=-1, producer_epoch=-1)
