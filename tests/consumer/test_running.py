"""The end of a consumer: asked for, by itself, or not at all. With an owner that does as it is told."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.kafka.ports import PATIENCE_S

from rota.consumer import running
from rota.consumer.running import Running, StopSignals
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable


class Owner:
    """Runs until it is told to stop, and then ends as ``ends`` does."""

    def __init__(self, ends: Callable[[], str | None] = lambda: None, *, deaf: bool = False) -> None:
        self.ending = None
        self.is_here = False
        self._ends = ends
        self._deaf = deaf
        self.told = threading.Event()

    def stop(self) -> None:
        if not self._deaf:
            self.told.set()

    def run(self) -> str | None:
        assert self.told.wait(PATIENCE_S)
        return self._ends()


class Operations:
    """Hears how it began and how it ended."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def started(self, _owner: object) -> None:
        self.heard.append("started")

    def close(self, how: str) -> None:
        self.heard.append(how)


def running_with(owner: Owner, operations: Operations | None = None, **options: Any) -> Running:
    parts: Any = owner, operations or Operations()
    return Running(*parts, **options)


def raising(error: BaseException) -> Callable[[], None]:
    def ends() -> None:
        raise error

    return ends


def test_a_stop_is_waited_for_and_told_to_its_parts() -> None:
    operations, closed = Operations(), []
    with running_with(
        Owner(), operations, closers=[lambda: closed.append(threading.current_thread().name)]
    ) as it:
        assert it.wait(0.01) is False
    assert it.wait() is True
    assert operations.heard == ["started", "asked to stop"]
    assert closed == ["rota-running"]


def test_who_is_waited_for_is_told_so_instead_of_waiting() -> None:
    owner = Owner()
    with running_with(owner) as it:
        owner.is_here = True
        for wait in (it.wait, it.stop):
            with pytest.raises(RotaError, match=r"cannot be waited for in a hook .* call stop_soon\(\)"):
                wait()
        owner.is_here = False


@pytest.mark.parametrize(
    ("ends", "kind", "words"),
    [
        (lambda: "the disk is full", RotaError, "the disk is full"),
        (raising(RotaError("no such group")), RotaError, "no such group"),
        (raising(KafkaException(KafkaError(-195))), RotaError, "the client says: Local: Broker transport failure"),
        (raising(AssertionError("our bug")), AssertionError, "our bug"),
    ],
)  # fmt: skip
def test_why_it_ended_by_itself_is_raised(
    ends: Callable[[], str | None], kind: type[Exception], words: str
) -> None:
    operations = Operations()
    owner = Owner(ends)
    it = running_with(owner, operations, closers=[raising(OSError("a part that fails hinders no other"))])
    owner.told.set()
    with pytest.raises(kind, match=words):
        it.wait(PATIENCE_S)
    assert operations.heard == ["started", words]


def test_one_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GOODBYE_S", 0.05)
    owner = Owner(deaf=True)
    it = running_with(owner, drain_ms=50)
    try:
        with pytest.raises(RotaError, match=r"did not end within 0.1 s; it is left behind"):
            it.stop()
    finally:
        owner.told.set()


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN, lambda *_: None])
def test_the_first_signal_stops_and_the_second_ends_the_program(before: Any) -> None:
    really = signal.signal(signal.SIGINT, before)
    owner = Owner(deaf=True)
    asked: list[str] = []
    signals = StopSignals()

    def orphaned() -> bool:
        if signals.running is not None and len(asked) < 2:
            asked.append("once more")
            signal.raise_signal(signal.SIGINT)
        return False

    try:
        with pytest.raises(KeyboardInterrupt), signals:
            signals.run(lambda: running_with(owner, drain_ms=5_000), orphaned)
        assert len(asked) == 2
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, really)
        owner.told.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_leaves_the_start_behind(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    gate, owner = threading.Event(), Owner()

    def start() -> Running:
        signal_main(number)
        assert gate.wait(PATIENCE_S)
        return running_with(owner)

    with StopSignals() as signals:
        signals.run(start)
    assert signal.getsignal(number) is before
    gate.set()
    assert owner.told.wait(PATIENCE_S), "what begins after all is told to stop"


def signal_main(number: signal.Signals) -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, number)


def test_an_orphan_stops() -> None:
    owner = Owner()
    with StopSignals() as signals:
        signals.run(lambda: running_with(owner), lambda: True)
    assert owner.told.wait(PATIENCE_S)


def test_what_a_start_raises_is_raised() -> None:
    with pytest.raises(RotaError, match="no broker"), StopSignals() as signals:
        signals.run(raising(RotaError("no broker")))  # type: ignore[arg-type]
