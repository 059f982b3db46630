"""Prompt heartbeats: a rebalance reaches members at once, not at their next heartbeat.

With ``--prompt-heartbeats`` the answer to a heartbeat is held back while the group is at rest, and sent the moment a
rebalance begins. It is never held longer than the member's own interval, so the member notices nothing: clients
send no second heartbeat before the first is answered, and an answer within the session timeout is in time. It is
let go at once when something else arrives on that connection, for answers leave in the order of their requests.

Off by default: who rehearses wants Kafka's real timing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

__all__ = ["HeldHeartbeats"]

_RHYTHM = "heartbeats"
_SHARE_OF_INTERVAL = 0.8


class _Rhythm(Plain, frozen=False):
    """When a connection's last heartbeat came, and the shortest time between two: the member's interval."""

    last_ms: int
    shortest_ms: int


class HeldHeartbeats:
    """The heartbeats of groups at rest, by group. ``answer_again`` asks the coordinator what is true now."""

    def __init__(
        self, broker: Broker, answer_again: Callable[[HeartbeatRequest, Request], HeartbeatResponse]
    ) -> None:
        self._broker = broker
        self._answer_again = answer_again
        self._by_group: dict[str, dict[Request, tuple[HeartbeatRequest, HeartbeatResponse]]] = {}

    def maybe_hold(
        self,
        message: HeartbeatRequest,
        request: Request,
        response: HeartbeatResponse,
        session_timeout_ms: int,
    ) -> bool:
        """Hold the answer back, if it is a good one and the member's interval is known."""
        now_ms = self._broker.clock.now_ms()
        rhythm = request.connection.state.get(_RHYTHM)
        if not isinstance(rhythm, _Rhythm):
            request.connection.state[_RHYTHM] = _Rhythm(now_ms, session_timeout_ms)
            return False
        rhythm.shortest_ms = min(rhythm.shortest_ms, now_ms - rhythm.last_ms)
        rhythm.last_ms = now_ms
        hold_ms = min(int(rhythm.shortest_ms * _SHARE_OF_INTERVAL), session_timeout_ms // 4)
        if response.error_code != ErrorCode.NONE or hold_ms <= 0:
            return False
        self._by_group.setdefault(message.group_id, {})[request] = (message, response)
        self._broker.timers.set(request, now_ms + hold_ms, lambda: self._let_go(message.group_id, request))
        request.connection.on_ahead = lambda: self._let_go(message.group_id, request)
        request.connection.on_gone = request.connection.on_ahead
        return True

    def release(self, group_id: str) -> None:
        """A rebalance has begun: every member that waits for an answer gets the news."""
        for request, (message, _) in self._by_group.pop(group_id, {}).items():
            self._broker.timers.cancel(request)
            if not request.connection.is_closed:
                request.reply(self._answer_again(message, request))

    def _let_go(self, group_id: str, request: Request) -> None:
        held = self._by_group.get(group_id, {})
        entry = held.pop(request, None)
        if not held:
            self._by_group.pop(group_id, None)
        if entry is not None:
            self._broker.timers.cancel(request)
            request.reply(entry[1])
