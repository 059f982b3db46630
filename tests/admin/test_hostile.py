"""Peers that are no brokers, or bad ones: what they send costs an error in one line, in bounded time and memory."""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.admin import Admin
from rota.model import RotaError
from rota.wire.apis import APIS
from rota.wire.codec import encode
from rota.wire.messages.api_versions import ApiVersion, ApiVersionsResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class BadBroker:
    """Listens on loopback and does to each connection what a test says."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            self._behave(connection)
        except OSError:
            return


def request(connection: socket.socket) -> int:
    """Read one request; its correlation id."""
    size = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
    return int.from_bytes(connection.recv(size, socket.MSG_WAITALL)[4:8], "big")


def answer(connection: socket.socket, correlation_id: int, body: bytes) -> None:
    connection.sendall(struct.pack(">ii", 4 + len(body), correlation_id) + body)


def says_versions(connection: socket.socket) -> None:
    """Answers as a broker does, as far as ApiVersions."""
    keys = [
        ApiVersion(api_key=api.key, min_version=api.min_version, max_version=api.max_version)
        for api in APIS.values()
    ]
    answer(connection, request(connection), encode(ApiVersionsResponse(api_keys=keys), 3))


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.recv(1)


def claims_much(connection: socket.socket) -> None:
    request(connection)
    connection.sendall(struct.pack(">i", 2**31 - 1))
    time.sleep(PATIENCE_S)


def claims_what_is_allowed(connection: socket.socket) -> None:
    request(connection)
    connection.sendall(struct.pack(">i", 100 * 1024 * 1024) + b"x")
    time.sleep(PATIENCE_S)


def claims_less_than_nothing(connection: socket.socket) -> None:
    request(connection)
    connection.sendall(struct.pack(">i", -5))
    connection.recv(1)


def says_nothing(connection: socket.socket) -> None:
    time.sleep(PATIENCE_S)


def hangs_up(connection: socket.socket) -> None:
    connection.close()


def answers_another_request(connection: socket.socket) -> None:
    answer(connection, request(connection) + 1, bytes(100))


def cannot_be_read(connection: socket.socket) -> None:
    says_versions(connection)
    answer(connection, request(connection), b"\0\0\0\0\0\xff\xff\xff\xff\x07")


def says_too_much(connection: socket.socket) -> None:
    says_versions(connection)
    answer(connection, request(connection), bytes(400))


def knows_no_api(connection: socket.socket) -> None:
    answer(connection, request(connection), encode(ApiVersionsResponse(), 3))
    connection.recv(1)


def is_broken(connection: socket.socket) -> None:
    answer(connection, request(connection), encode(ApiVersionsResponse(error_code=-1), 3))


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (nonsense, "is it a Kafka broker's port"),
        (claims_much, "is it a Kafka broker's port"),
        (claims_what_is_allowed, "does not answer"),
        (claims_less_than_nothing, "is it a Kafka broker's port"),
        (says_nothing, "does not answer"),
        (hangs_up, "closed the connection|broke"),
        (answers_another_request, "is it a Kafka broker's port"),
        (cannot_be_read, "no answer of Kafka's"),
        (says_too_much, "no answer of Kafka's"),
        (knows_no_api, "the broker knows no version of Metadata"),
        (is_broken, "which versions it knows"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_a_bad_broker_costs_one_line(behave: Callable[[socket.socket], None], words: str) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        BadBroker(behave) as peer,
        Admin(peer.address, timeout_s=2) as admin,
        pytest.raises(RotaError, match=words) as refused,
    ):
        admin.list_groups()
    assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50 * 1024


def test_a_bad_one_among_good_ones_is_passed_over(broker: object) -> None:
    address: str = broker.bootstrap_servers  # type: ignore[attr-defined]
    for behave in (nonsense, says_nothing, hangs_up):
        with BadBroker(behave) as peer, Admin(f"{peer.address},{address}", timeout_s=PATIENCE_S) as admin:
            assert len(admin.nodes()) == 1
