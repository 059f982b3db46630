"""What the group coordinator answers, in one place because nothing is done here but handing over.

OffsetCommit (8, v2-9), OffsetFetch (9, v1-9), JoinGroup (11, v0-9), Heartbeat (12, v0-4), LeaveGroup (13, v0-5),
SyncGroup (14, v0-5), DescribeGroups (15, v0-6), ListGroups (16, v0-5), DeleteGroups (42, v0-2), OffsetDelete (47,
v0), ConsumerGroupHeartbeat (68, v0-1), ConsumerGroupDescribe (69, v0-1). The rules are in ``rota.coordinator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
    from rota.wire.schema import Message

__all__ = ["beat", "handle"]


def handle(broker: Broker, message: Message, request: Request) -> object:
    return broker.groups.handle(message, request)


def beat(broker: Broker, message: HeartbeatRequest) -> HeartbeatResponse | None:
    return broker.groups.beat(message)
