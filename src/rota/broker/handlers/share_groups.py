"""Share groups (KIP-932): ShareGroupHeartbeat (76), ShareGroupDescribe (77), ShareFetch (78), ShareAcknowledge (79).

Their offsets are described (90), altered (91) and deleted (92).

They are switched off (``share.version`` 0), as in a new cluster of Apache Kafka 4.1, and every answer says so.
Differs from Apache Kafka: they cannot be switched on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse,
)
from rota.wire.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
)
from rota.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse,
    DescribeShareGroupOffsetsResponseGroup,
)
from rota.wire.messages.share_acknowledge import ShareAcknowledgeRequest, ShareAcknowledgeResponse
from rota.wire.messages.share_fetch import ShareFetchRequest, ShareFetchResponse
from rota.wire.messages.share_group_describe import (
    DescribedGroup,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)
from rota.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["handle"]

_OFF = ErrorCode.UNSUPPORTED_VERSION
_WHY = "share groups are switched off (share.version 0)"


def handle(_broker: Broker, message: Message, _request: Request) -> Message:
    match message:
        case ShareGroupHeartbeatRequest():
            return ShareGroupHeartbeatResponse(error_code=_OFF)
        case ShareGroupDescribeRequest():
            return ShareGroupDescribeResponse(
                groups=[DescribedGroup(error_code=_OFF, group_id=each) for each in message.group_ids]
            )
        case ShareFetchRequest():
            return ShareFetchResponse(error_code=_OFF)
        case ShareAcknowledgeRequest():
            return ShareAcknowledgeResponse(error_code=_OFF)
        case DescribeShareGroupOffsetsRequest():
            return DescribeShareGroupOffsetsResponse(
                groups=[
                    DescribeShareGroupOffsetsResponseGroup(
                        group_id=each.group_id, error_code=_OFF, error_message=None
                    )
                    for each in message.groups
                ]
            )
        case AlterShareGroupOffsetsRequest():
            return AlterShareGroupOffsetsResponse(error_code=_OFF, error_message=_WHY)
        case _:
            assert isinstance(message, DeleteShareGroupOffsetsRequest)
            return DeleteShareGroupOffsetsResponse(error_code=_OFF, error_message=_WHY)
