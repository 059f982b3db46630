"""Strangers who connect and say nothing, or read nothing: who has the token is served all the same."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.web import scenes
from tests.web.serving import Events, Here, ask, now_ms

from rota.web import connections

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NEVER_S = 1e9


@pytest.fixture
def stage() -> scenes.Stage:
    return scenes.Stage({"orders": scenes.group("orders", now_ms())})


@pytest.fixture
def server(stage: scenes.Stage) -> Iterator[Here]:
    with Here(stage, token=TOKEN) as running:
        yield running


@pytest.fixture
def crowd(server: Here) -> Iterator[Crowd]:
    with ExitStack() as kept:
        yield Crowd(server.port, kept)


class Crowd:
    """Strangers, who are gone at the end of the test."""

    def __init__(self, port: int, kept: ExitStack) -> None:
        self._port, self._kept = port, kept

    def comes(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        raw = socket.socket()
        self._kept.callback(raw.close)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(PATIENCE_S)
        raw.bind((source, 0))
        raw.connect(("127.0.0.1", self._port))
        raw.sendall(sent)
        return raw


def is_closed(raw: socket.socket) -> bool:
    """Whether the server has closed it; waits for that, whatever it still sends."""
    try:
        while raw.recv(65_536):
            pass
    except ConnectionError:
        pass
    return True


def test_hundreds_who_say_nothing_keep_nobody_out(
    stage: scenes.Stage,
    server: Here,
    crowd: Crowd,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor do they end the stream of a page that was open before, or fill the log."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(connections, "READ_S", NEVER_S)
    monkeypatch.setattr(connections, "LOG_S", NEVER_S)
    with Events(server.port, headers=BEARER) as events:
        events.next()
        for number in range(2 * connections.MOST_CONNECTIONS):
            crowd.comes([b"", b"GET / HT"][number % 2])
        assert ask(server.port, "/api/groups", headers=BEARER).status == 200
        stage.show(scenes.group("orders", now_ms(), lag=4321))
        while events.next()["set"].get("orders", {}).get("lag") != 4321:
            pass
        wait_until("it is told", lambda: bool(caplog.records))
        for _ in range(50):
            crowd.comes()
        assert ask(server.port, "/api/groups", headers=BEARER).status == 200
    assert len(caplog.records) == 1
    assert "more than 300 connections at once" in caplog.text


def test_the_oldest_of_the_address_that_has_most_gives_way(
    server: Here, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_S", NEVER_S)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 6)
    quiet = crowd.comes(b"GET /login HTTP/1.1\r\n", source="127.0.0.2")
    many = [crowd.comes() for _ in range(5)]
    crowd.comes()
    assert is_closed(many[0])
    quiet.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
    assert quiet.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 99\r\n\r\nto",
        b"GET /api/session HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
    ],
    ids=["nothing", "half a head", "half a body", "half of a second one"],
)
def test_whoever_never_ends_his_request_is_let_go(
    stage: scenes.Stage, server: Here, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    with Events(server.port, headers=BEARER) as events:
        events.next()
        monkeypatch.setattr(connections, "READ_S", 0.5)
        assert is_closed(crowd.comes(sent))
        stage.show(scenes.group("orders", now_ms(), lag=77))  # the stream is older, and goes on
        assert events.next()["set"]["orders"]["lag"] == 77


def test_a_request_in_pieces_is_served(server: Here, crowd: Crowd) -> None:
    raw = crowd.comes()
    for piece in (b"GET /lo", b"gin HTTP/1.1\r\nHo", b"st: localhost\r\nConnection: close\r\n\r\n"):
        raw.sendall(piece)
    assert raw.recv(4096).startswith(b"HTTP/1.1 200")


ASKS_MUCH = b"GET /static/chart.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400
"""Seven megabytes of answers: more than the machine takes for somebody who does not read."""


def test_whoever_reads_nothing_gives_way(server: Here, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 5)
    lazy = [crowd.comes(ASKS_MUCH) for _ in range(5)]
    for _ in range(5):
        wait_until("somebody else is served", lambda: is_served(server))
    assert lazy


def is_served(server: Here) -> bool:
    try:
        return ask(server.port, "/api/groups", headers=BEARER).status == 200
    except ConnectionError:
        return False


def unread(each: object) -> bool:
    return isinstance(each, connections.Connection) and each.is_unread


def test_whoever_stops_reading_is_let_go_after_a_while(
    server: Here, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_S", 0.5)
    lazy = crowd.comes(ASKS_MUCH)
    state = server._server.server_state
    wait_until("it does not read", lambda: any(unread(each) for each in list(state.connections)))
    wait_until("it is gone", lambda: not state.connections)
    assert is_closed(lazy)


def test_rubbish_of_strangers_is_not_written_down(
    server: Here, crowd: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        assert is_closed(crowd.comes(b"\x16\x03\x01\r\n\r\n"))
    assert caplog.records == []
