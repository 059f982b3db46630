"""A classic group of many members, one connection each, whose rebalances are made of prepared requests."""

from __future__ import annotations

import select
import struct
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from bench.load import Client, frame_of
from tests.broker.talk import Talk

from rota.model import ErrorCode
from rota.wire.codec import decode, encode_versioned
from rota.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from rota.wire.messages.heartbeat import HeartbeatRequest
from rota.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from rota.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse

__all__ = ["Members"]

_JOIN, _SYNC, _HEARTBEAT, _LEAVE = 7, 5, 4, 4
_GENERATION = 0x01020304  # replaced in the prepared requests
_SESSION_MS = 60_000
_TIMEOUT_S = 60.0
_SIZE = struct.Struct(">i")
_AFTER_CODE = 15  # of a join's and a sync's answer: length, correlation id, tags, throttle time, error code
_PIECE = 32 * 1024  # bytes; only the leader's answer to its join is longer


class Members:
    """Members ``count`` of a group, joined and synced. ``rebalance`` makes all of them join and sync again."""

    def __init__(self, address: str, group: str, count: int) -> None:
        self._group = group
        self._stack = ExitStack()
        self.clients = [self._stack.enter_context(Client(address)) for _ in range(count)]
        Talk(self.clients[0], group, address).coordinator(group)
        self._rounds = 0
        self._ids = self._first_ids()
        self.generation = -1
        self._by_fd = {
            client.socket.fileno(): (number, client.socket.recv) for number, client in enumerate(self.clients)
        }
        self._poll = self._stack.enter_context(select.epoll())
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)
        self.rebalance()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            members = [MemberIdentity(member_id=each) for each in self._ids]
            request = LeaveGroupRequest(group_id=self._group, members=members)
            self.clients[0].call(request, _LEAVE, LeaveGroupResponse)

    def rebalance(self) -> float:
        """A member with a changed subscription joins, and so must everyone; seconds until all are synced."""
        self._rounds += 1
        joins = [frame_of(self._join(member), _JOIN) for member in self._ids]
        syncs, place = self._prepared_syncs()
        start = time.perf_counter()
        joined = self._all_send(joins)
        generation = joined[0][_AFTER_CODE : _AFTER_CODE + 4]
        answers = self._all_send([frame[:place] + generation + frame[place + 4 :] for frame in syncs])
        elapsed = time.perf_counter() - start
        for each in (*joined, *answers):
            assert each[_AFTER_CODE - 2 : _AFTER_CODE] == b"\0\0", "a join or a sync failed"
        answer = decode(JoinGroupResponse, _JOIN, joined[0][9:])
        assert answer.leader == self._ids[0], "the first member leads"
        self.generation = answer.generation_id
        return elapsed

    def heartbeats(self) -> list[bytes]:
        """A heartbeat of each member."""
        return [
            frame_of(
                HeartbeatRequest(group_id=self._group, generation_id=self.generation, member_id=member),
                _HEARTBEAT,
            )
            for member in self._ids
        ]

    def _first_ids(self) -> list[str]:
        """The first member settles alone: the others then meet a stable group, whose rebalance waits for all."""
        found: list[str] = []
        for client in self.clients:
            answer = client.call(self._join(""), _JOIN, JoinGroupResponse)
            assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED, answer
            found.append(answer.member_id)
            if len(found) == 1:
                joined = client.call(self._join(found[0]), _JOIN, JoinGroupResponse)
                sync = self._sync(found[0], [])
                sync.generation_id = joined.generation_id
                synced = client.call(sync, _SYNC, SyncGroupResponse)
                assert synced.error_code == 0, synced
        return found

    def _join(self, member: str) -> JoinGroupRequest:
        said = ConsumerProtocolSubscription(topics=["t"], user_data=str(self._rounds).encode())
        return JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=_SESSION_MS,
            rebalance_timeout_ms=_SESSION_MS,
            member_id=member,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=encode_versioned(said, 1))],
        )

    def _prepared_syncs(self) -> tuple[list[bytes], int]:
        """Each member's request, the leader's with everyone's assignment, and where the generation stands."""
        shares = [SyncGroupRequestAssignment(member_id=member, assignment=bytes(40)) for member in self._ids]
        frames = [frame_of(self._sync(member, []), _SYNC) for member in self._ids]
        frames[0] = frame_of(self._sync(self._ids[0], shares), _SYNC)
        return frames, frames[0].index(_SIZE.pack(_GENERATION))

    def _sync(self, member: str, shares: list[SyncGroupRequestAssignment]) -> SyncGroupRequest:
        return SyncGroupRequest(
            group_id=self._group,
            generation_id=_GENERATION,
            member_id=member,
            protocol_type="consumer",
            protocol_name="range",
            assignments=shares,
        )

    def _all_send(self, frames: list[bytes]) -> list[bytes]:
        """Everyone's request, and everyone's answer. The leader's goes last, so that the others wait for it."""
        clients, by_fd = self.clients, self._by_fd
        for number in reversed(range(len(clients))):
            clients[number].socket.sendall(frames[number])
        answers = [b""] * len(clients)
        waiting = len(clients)
        while waiting:
            ready = self._poll.poll(_TIMEOUT_S)
            assert ready, f"{waiting} members were not answered"
            for fd, _ in ready:
                number, receive = by_fd[fd]
                answer = receive(_PIECE)
                assert answer, "the broker closed a member's connection"
                if answers[number]:
                    answer = answers[number] + answer
                answers[number] = answer
                if len(answer) >= 4 and len(answer) == 4 + _SIZE.unpack_from(answer)[0]:
                    waiting -= 1
        return answers
