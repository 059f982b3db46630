"""A classic group of many members, one connection each, whose rebalances are made of prepared requests."""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Callable
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
        self._by_fd = {client.socket.fileno(): number for number, client in enumerate(self.clients)}
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
        syncs, leading, place = self._prepared_syncs()
        start = time.perf_counter()
        answers = self._all_send(joins.__getitem__)
        answer = decode(JoinGroupResponse, _JOIN, answers[0][9:])
        assert answer.error_code == 0, answer
        self.generation = answer.generation_id
        assert answer.leader == self._ids[0], "the first member leads"
        generation = struct.pack(">i", self.generation)

        def sync(number: int) -> bytes:
            frame = leading if number == 0 else syncs[number]
            return frame[:place] + generation + frame[place + 4 :]

        answers = self._all_send(sync)
        elapsed = time.perf_counter() - start
        # length, correlation id, tags, throttle time, error code
        assert not any(struct.unpack_from(">h", answer, 13)[0] for answer in answers), "a sync failed"
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

    def _prepared_syncs(self) -> tuple[list[bytes], bytes, int]:
        """Each member's request, the leader's with everyone's assignment, and where the generation stands."""
        shares = [SyncGroupRequestAssignment(member_id=member, assignment=bytes(40)) for member in self._ids]
        frames = [frame_of(self._sync(member, []), _SYNC) for member in self._ids]
        leading = frame_of(self._sync(self._ids[0], shares), _SYNC)
        return frames, leading, frames[0].index(_SIZE.pack(_GENERATION))

    def _sync(self, member: str, shares: list[SyncGroupRequestAssignment]) -> SyncGroupRequest:
        return SyncGroupRequest(
            group_id=self._group,
            generation_id=_GENERATION,
            member_id=member,
            protocol_type="consumer",
            protocol_name="range",
            assignments=shares,
        )

    def _all_send(self, frame_for: Callable[[int], bytes]) -> list[bytes]:
        """Everyone's request, and everyone's answer. The leader's goes last, so that the others wait for it."""
        clients = self.clients
        for number in reversed(range(len(clients))):
            clients[number].socket.sendall(frame_for(number))
        parts = [bytearray() for _ in clients]
        waiting = len(clients)
        deadline = time.monotonic() + _TIMEOUT_S
        while waiting:
            for fd, _ in self._poll.poll(1):
                number = self._by_fd[fd]
                part = parts[number]
                received = clients[number].socket.recv(1024 * 1024)
                assert received, "the broker closed a member's connection"
                part += received
                if len(part) >= 4 and len(part) == 4 + _SIZE.unpack_from(part)[0]:
                    waiting -= 1
            assert time.monotonic() < deadline, f"{waiting} members were not answered"
        return [bytes(part) for part in parts]
