"""FindCoordinator (key 10), versions 0-6: one node coordinates every group and every transaction.

Version notes: v1 key types (0 group, 1 transaction, 2 share) and a message; v3 flexible; v4 many keys in one request;
v6 share groups.

Known gaps: share groups are not served, and asking for their coordinator says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.group_names import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_GROUP, _TRANSACTION = 0, 1


def handle(broker: Broker, message: FindCoordinatorRequest, request: Request) -> FindCoordinatorResponse:
    if message.key_type not in {_GROUP, _TRANSACTION}:
        text = "this broker coordinates consumer groups and transactions only"
        return _refuse(message, request, ErrorCode.INVALID_REQUEST, text)
    try:
        broker.create_own_topic(OFFSETS_TOPIC if message.key_type == _GROUP else TRANSACTIONS_TOPIC)
    except KafkaError as error:
        return _refuse(message, request, ErrorCode.COORDINATOR_NOT_AVAILABLE, error.message)
    host, port = request.listener
    if request.version < 4:
        return FindCoordinatorResponse(error_message="NONE", node_id=broker.node_id, host=host, port=port)
    return FindCoordinatorResponse(
        coordinators=[
            Coordinator(key=key, node_id=broker.node_id, host=host, port=port, error_message="")
            for key in message.coordinator_keys
        ]
    )


def _refuse(
    message: FindCoordinatorRequest, request: Request, code: ErrorCode, text: str | None
) -> FindCoordinatorResponse:
    if request.version < 4:
        return FindCoordinatorResponse(error_code=code, error_message=text, node_id=-1, host="", port=-1)
    return FindCoordinatorResponse(
        coordinators=[
            Coordinator(key=key, node_id=-1, host="", port=-1, error_code=code, error_message=text)
            for key in message.coordinator_keys
        ]
    )
