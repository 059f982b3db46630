"""The server of probes and scrapes: what it answers, and what strangers cannot do to it."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kafka.ports import PATIENCE_S, wait_until

from rota import http_server
from rota.http_server import Request, Response, Server, parse
from rota.model import RotaError


def answer(request: Request) -> Response:
    if request.path == "/slow":
        time.sleep(0.3)
    if request.path == "/broken":
        raise ValueError("no")
    if request.path == "/large":
        return Response(200, b"x" * 5_000_000)
    return Response(200, f"{request.method} {request.path}\n".encode())


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(answer, "127.0.0.1", 0)
    running.start()
    yield running
    running.close()


def ask(server: Server, request: bytes) -> bytes:
    """Everything that comes back."""
    with closing(connect(server)) as peer:
        peer.sendall(request)
        return read(peer)


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def read(peer: socket.socket) -> bytes:
    found = b""
    while data := peer.recv(65_536):
        found += data
    return found


def get(server: Server, path: str = "/") -> bytes:
    return ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def is_served(server: Server) -> bool:
    """Whether just now; while answers are worked out for all who are connected, nobody else is let in."""
    with suppress(OSError):
        return get(server).startswith(b"HTTP/1.1 200")
    return False


def status(response: bytes) -> int:
    return int(response.split(b" ")[1])


def test_a_request_is_answered_and_the_connection_closed(server: Server) -> None:
    head, _, body = get(server, "/state?x=1").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in head
    assert b"Content-Length: 11" in head
    assert body == b"GET /state\n"


def test_head_has_no_body(server: Server) -> None:
    head, _, body = ask(server, b"HEAD /state HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert b"Content-Length: 12" in head
    assert body == b""


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"DELETE / HTTP/1.1\r\n\r\n", 405),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET relative HTTP/1.1\r\n\r\n", 400),
        (b"GET http://x/state HTTP/1.1\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),  # TLS
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"a" * 9_000, 431),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
    ],
)
def test_what_is_not_served_is_refused(server: Server, request_: bytes, expected: int) -> None:
    assert status(ask(server, request_)) == expected
    assert status(get(server)) == 200  # and the next is


def test_a_request_that_comes_in_crumbs_is_served(server: Server) -> None:
    with closing(connect(server)) as peer:
        for byte in b"GET /crumbs HTTP/1.1\r\n\r\n":
            peer.sendall(bytes([byte]))
        assert read(peer).endswith(b"GET /crumbs\n")


def test_whoever_never_ends_his_request_is_let_go(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "READ_S", 0.2)
    with closing(connect(server)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n")
        assert read(peer) == b""


def test_hundreds_of_idle_connections_keep_nobody_out(server: Server) -> None:
    idle = [connect(server) for _ in range(2 * http_server.MOST_CONNECTIONS)]
    try:
        for peer in idle[-5:]:
            peer.sendall(b"GET / HT")
        assert status(get(server)) == 200
    finally:
        for peer in idle:
            peer.close()


def test_readers_who_do_not_read_keep_nobody_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 10)
    lazy = [connect(server) for _ in range(20)]
    try:
        for peer in lazy:
            with suppress(OSError):  # some had to go
                peer.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        wait_until("somebody else is served", lambda: is_served(server))
    finally:
        for peer in lazy:
            peer.close()


def test_a_large_answer_comes_whole(server: Server) -> None:
    assert len(get(server, "/large").partition(b"\r\n\r\n")[2]) == 5_000_000


def test_who_hangs_up_while_the_answer_is_worked_out_does_no_harm(server: Server) -> None:
    for _ in range(10):
        with closing(connect(server)) as peer:
            peer.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
    assert status(get(server)) == 200


def test_who_sends_more_than_one_request_gets_one_answer(server: Server) -> None:
    found = ask(server, b"GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n")
    assert found.count(b"HTTP/1.1 200") == 1
    assert found.endswith(b"GET /one\n")


def test_its_threads_are_three_whatever_comes(server: Server) -> None:
    with closing(connect(server)), closing(connect(server)):
        assert status(get(server)) == 200
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("rota-http")]
    assert len(names) == 3


def test_a_closed_server_listens_no_more(server: Server) -> None:
    server.close()
    with pytest.raises(OSError, match="refused"):
        connect(server)


def test_a_server_that_was_never_started_can_be_closed() -> None:
    Server(answer, "127.0.0.1", 0).close()


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    with pytest.raises(RotaError) as refused:
        Server(answer, "127.0.0.1", server.port)
    where = f"127.0.0.1:{server.port} for health and metrics"
    why = os.strerror(errno.EADDRINUSE)
    assert str(refused.value) == f"cannot listen on {where}: {why}; choose another address or port"


@pytest.mark.parametrize(("host", "port"), [("..", 0), ("é..", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_nobody_can_listen_on_is_named_once(host: str, port: int) -> None:
    with pytest.raises(RotaError) as refused:
        Server(answer, host, port)
    assert str(refused.value).startswith(f"cannot listen on {host}:{port} for health and metrics: ")
    assert str(refused.value).count(host) == 1


@given(st.binary(max_size=300))
def test_no_bytes_raise(head: bytes) -> None:
    assert isinstance(parse(head), Request | Response)


@given(st.lists(st.sampled_from([b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"Host: x", b"\0", b":"])))
def test_nothing_that_looks_like_a_request_raises(pieces: list[bytes]) -> None:
    assert isinstance(parse(b"".join(pieces)), Request | Response)
