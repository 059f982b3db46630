"""The broker's own event loop: what it calls, when, and what ends it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.broker.loop import Loop
from rota.broker.poller import SelectorPoller, new_poller


@pytest.fixture(params=[new_poller, SelectorPoller])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    """With this system's own way of waiting, and with the one that every system has."""
    made = Loop(request.param())
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_a_socket_is_read_until_its_reader_is_removed(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(ours.recv(1))
        if len(got) == 2:
            loop.remove_reader(ours.fileno())
            loop.call_later(0.01, loop.stop)

    loop.add_reader(ours.fileno(), read)
    theirs.send(b"abc")
    loop.run_forever()
    assert got == [b"a", b"b"]


def test_a_reader_and_a_writer_of_one_socket_come_and_go_alone(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    called: list[str] = []

    def write() -> None:
        called.append("write")
        loop.remove_writer(ours.fileno())
        theirs.send(b"x")

    def read() -> None:
        called.append("read")
        loop.remove_reader(ours.fileno())
        loop.stop()

    loop.add_reader(ours.fileno(), read)
    loop.add_writer(ours.fileno(), write)
    loop.run_forever()
    assert called == ["write", "read"]
    loop.remove_reader(ours.fileno())  # nothing is there any more: no error
    loop.remove_writer(ours.fileno())


def test_who_is_removed_in_a_turn_is_not_called_in_it(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def remove_both(number: int) -> None:
        called.append(number)
        for ours, _ in pairs:
            loop.remove_reader(ours.fileno())
            ours.close()
        loop.stop()

    for number, (ours, theirs) in enumerate(pairs):
        loop.add_reader(ours.fileno(), lambda number=number: remove_both(number))  # type: ignore[misc]
        theirs.send(b"x")
    loop.run_forever()
    assert len(called) == 1
    for _, theirs in pairs:
        theirs.close()


def test_timers_are_called_in_their_order_and_cancelled_ones_never(loop: Loop) -> None:
    called: list[str] = []
    loop.call_later(0.02, lambda: called.append("late"))
    loop.call_later(0.03, loop.stop)
    loop.call_later(0.0, lambda: called.append("soon"))
    cancelled = loop.call_later(0.01, lambda: called.append("cancelled"))
    cancelled.cancel()
    cancelled.cancel()
    loop.run_forever()
    assert called == ["soon", "late"]


def test_cancelled_timers_do_not_pile_up(loop: Loop) -> None:
    for _ in range(10_000):
        loop.call_later(3600, lambda: None).cancel()
    assert len(loop._timers) < 200


def test_what_is_planned_by_a_planned_call_comes_in_the_next_turn(loop: Loop) -> None:
    called: list[str] = []

    def first() -> None:
        called.append("first")
        loop.call_soon(lambda: called.append("third"))
        loop.call_soon(loop.stop)

    loop.call_soon(first)
    loop.call_soon(lambda: called.append("second"))
    loop.run_forever()
    assert called == ["first", "second", "third"]


def test_a_callback_that_fails_is_logged_and_the_others_go_on(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("on purpose")

    loop.call_soon(fail)
    loop.call_later(0, fail)
    loop.call_later(0, loop.stop)
    with caplog.at_level(logging.ERROR):
        loop.run_forever()
    assert [record.message.startswith("bug: ") for record in caplog.records] == [True, True]


def test_another_thread_wakes_it(loop: Loop) -> None:
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))
    thread.start()
    loop.run_forever()  # nothing else would ever end it
    thread.join()


def test_a_thread_that_calls_much_does_not_wait_for_the_loop(loop: Loop) -> None:
    called: list[int] = []
    for number in range(100_000):  # more than fits into a pipe
        loop.call_soon_threadsafe(lambda number=number: called.append(number))  # type: ignore[misc]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert called == list(range(100_000))


@pytest.mark.parametrize("early", [True, False])
def test_a_signal_ends_it_whenever_it_comes(early: bool) -> None:
    loop = Loop()
    before = signal.getsignal(signal.SIGUSR1)
    loop.stop_on_signals(signal.SIGUSR1)
    if early:
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.run_forever()
    else:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        loop.run_forever()  # waits without a limit: only the signal ends it
        timer.join()
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_call_that_comes_after_the_end_is_dropped() -> None:
    loop = Loop()
    loop.close()
    loop.call_soon_threadsafe(lambda: None)


def test_the_end_waits_for_a_call_that_is_waking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    waker, real_write, real_close = loop._waker, os.write, os.close
    is_writing, is_closed = threading.Event(), threading.Event()
    was_closed: list[bool] = []

    def write(fd: int, data: bytes) -> int:
        if fd == waker:
            is_writing.set()
            was_closed.append(is_closed.wait(0.1))
        return real_write(fd, data)

    def close(fd: int) -> None:
        real_close(fd)
        if fd == waker:
            is_closed.set()

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "close", close)
    caller = threading.Thread(target=loop.call_soon_threadsafe, args=[lambda: None])
    caller.start()
    assert is_writing.wait(PATIENCE_S)
    loop.close()
    caller.join()
    assert was_closed == [False]
    assert is_closed.is_set()
