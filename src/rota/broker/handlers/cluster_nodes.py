"""UnregisterBroker (64), AddRaftVoter (80), RemoveRaftVoter (81): the nodes of a cluster. There is one, and it stays.

Apache Kafka lets a broker be unregistered while it runs; here that is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.add_raft_voter import AddRaftVoterRequest, AddRaftVoterResponse
from rota.wire.messages.remove_raft_voter import RemoveRaftVoterRequest, RemoveRaftVoterResponse
from rota.wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["handle"]

_ONE_NODE = "this cluster is one node, and stays it"


def handle(broker: Broker, message: Message, _request: Request) -> Message:
    match message:
        case UnregisterBrokerRequest():
            if message.broker_id == broker.node_id:
                return UnregisterBrokerResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=_ONE_NODE)
            text = f"there is no broker {message.broker_id}; this one is {broker.node_id}"
            return UnregisterBrokerResponse(error_code=ErrorCode.BROKER_ID_NOT_REGISTERED, error_message=text)
        case AddRaftVoterRequest():
            return AddRaftVoterResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=_ONE_NODE)
        case _:
            assert isinstance(message, RemoveRaftVoterRequest)
            return RemoveRaftVoterResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=_ONE_NODE)
