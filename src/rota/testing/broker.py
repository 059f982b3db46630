"""``rota.testing.Broker``: an embedded broker as a context manager, in a thread or in a process of its own."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from rota.broker.options import BrokerOptions
from rota.model import ErrorCode, GroupError, RotaError

if TYPE_CHECKING:
    from rota.broker.node import Node
    from rota.timeline.events import Event

__all__ = ["Broker"]

_T = TypeVar("_T")

_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 10.0
_NOT_RUNNING = "the broker is not running"
MOST_EVENTS = 100_000

TEST_CONFIGS: Mapping[str, str] = {
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
}
"""What differs from Apache Kafka's defaults unless a test says otherwise: no three seconds' wait for more members,
and members of consumer groups (KIP-848) send a heartbeat, and so learn of a rebalance, every 0.3 seconds, not every 5.
"""


class Broker:
    """A Kafka broker for a test. Everything stays in memory unless ``data_dir`` is given.

    ``mode`` "thread" starts quickest and can be steered (``expire_session``, ``force_rebalance``,
    ``advance_clock``) and asked for its ``events``; "process" can be killed (``kill``) and shares no interpreter
    lock with the test. ``configs`` are Kafka's broker configs, numbers and bools as they are; by default
    ``group.initial.rebalance.delay.ms`` is 0 and ``group.consumer.heartbeat.interval.ms`` 300.
    ``prompt_heartbeats`` lets members hear of a rebalance at once; False is Kafka's timing, at their next heartbeat.
    ``restart`` starts again on the same port and data.

    Raises:
        ValueError: a mode or a port that there is not.
        RotaError: a config that is unknown or wrong (at the latest by ``start``), and, later, what a broker of this
            mode cannot do, or one that is not running.
    """

    def __init__(
        self,
        configs: Mapping[str, str | float | bool] | None = None,
        *,
        data_dir: Path | str | None = None,
        mode: Literal["thread", "process"] = "thread",
        port: int = 0,
        prompt_heartbeats: bool = True,
    ) -> None:
        if mode not in {"thread", "process"}:
            raise ValueError(f'mode is "thread" or "process", not {mode!r}')
        if not 0 <= port <= 65535:
            raise ValueError(f"port is from 0 (any free one) to 65535, not {port}")
        given = {name: _spelt(name, value) for name, value in (configs or {}).items()}
        self.configs = {**TEST_CONFIGS, **given}
        self.data_dir = Path(data_dir) if data_dir is not None else None
        self.mode = mode
        self.port = port
        self.prompt_heartbeats = prompt_heartbeats
        self._runner: _ThreadRunner | _ProcessRunner | None = None

    def start(self) -> Self:
        """Start, and return once clients can connect."""
        if self._runner is not None:
            raise RotaError("the broker runs already")
        options = BrokerOptions(
            port=self.port,
            data_dir=self.data_dir,
            configs=dict(self.configs),
            prompt_heartbeats=self.prompt_heartbeats,
        )
        runner = _ThreadRunner(options) if self.mode == "thread" else _ProcessRunner(options)
        self.port = runner.port
        self._runner = runner
        return self

    def stop(self) -> None:
        """Stop cleanly; does nothing when stopped already."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.stop()

    def kill(self) -> None:
        """End the broker's process with SIGKILL (mode "process" only); does nothing when it does not run."""
        if self.mode != "process":
            raise RotaError('only a broker with mode="process" can be killed')
        runner, self._runner = self._runner, None
        if isinstance(runner, _ProcessRunner):
            runner.kill()

    def restart(self) -> None:
        """Stop, if it still runs, and start again on the same port and data; needs ``data_dir``."""
        if self.data_dir is None:
            raise RotaError(
                "a broker in memory has nothing to come back to: give it a data_dir, or stop() and start() "
                "to begin anew"
            )
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients; a broker that was stopped keeps its own."""
        if self.port == 0:
            raise RotaError("the broker has no address before it is started")
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that serves: its own in mode "process"."""
        if self._runner is None:
            raise RotaError(_NOT_RUNNING)
        return self._runner.pid if isinstance(self._runner, _ProcessRunner) else os.getpid()

    # --- steering (mode "thread") -----------------------------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """What happened in the groups so far, as the coordinator saw it: the last 100,000 events."""
        runner = self._steered()
        return runner.call(lambda _node: list(runner.events))

    def expire_session(self, group: str, member_id: str) -> None:
        """Let a member's session end now, as if it had been silent for its session timeout."""

        def expire(node: Node) -> None:
            groups = node.broker.groups
            groups.carry_out(groups.coordinator.expire_session(group, member_id, node.broker.clock.now_ms()))

        with _named(group, member_id):
            self._steered().call(expire)

    def force_rebalance(self, group: str, reason: str = "asked for by a test") -> None:
        """Let a group rebalance now."""

        def rebalance(node: Node) -> None:
            groups = node.broker.groups
            groups.carry_out(groups.coordinator.force_rebalance(group, reason, node.broker.clock.now_ms()))

        with _named(group):
            self._steered().call(rebalance)

    def advance_clock(self, ms: int) -> None:
        """Let ``ms`` milliseconds pass at once for the broker: sessions, retention, offsets expire."""
        if ms < 0:
            raise ValueError(f"the clock only goes forward, not by {ms} ms")

        def advance(node: Node) -> None:
            node.broker.clock.advance(ms)
            node.broker.timers.run_due()

        self._steered().call(advance)

    def _steered(self) -> _ThreadRunner:
        if self._runner is None:
            raise RotaError(_NOT_RUNNING)
        if not isinstance(self._runner, _ThreadRunner):
            raise RotaError('only a broker with mode="thread" can be steered and has events')
        return self._runner


def _spelt(name: str, value: object) -> str:
    """A config's value as Kafka spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise RotaError(f"broker config {name!r} wants a text, a number or a bool, not {value!r}")


@contextlib.contextmanager
def _named(group: str, member_id: str = "") -> Iterator[None]:
    """Name whom the coordinator did not find."""
    try:
        yield
    except GroupError as error:
        if error.code == ErrorCode.UNKNOWN_MEMBER_ID:
            raise RotaError(f"group {group!r} has no member {member_id!r}") from None
        if error.code == ErrorCode.GROUP_ID_NOT_FOUND:
            raise RotaError(f"there is no group {group!r}") from None
        raise


class _ThreadRunner:
    """The broker's event loop in a daemon thread of this process."""

    def __init__(self, options: BrokerOptions) -> None:
        from rota.broker.loop import Loop
        from rota.broker.node import Node

        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._loop = Loop()
        started: list[Node | BaseException] = []
        ready = threading.Event()

        def serve() -> None:
            try:
                started.append(Node(options, self._loop, on_event=self.events.append))
            except BaseException as error:
                started.append(error)
                return
            finally:
                ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=serve, name="rota-broker", daemon=True)
        self._thread.start()
        ready.wait()
        if isinstance(started[0], BaseException):
            self._loop.close()
            raise started[0]
        self._node = started[0]
        self.port = self._node.server.address[1]

    def call(self, function: Callable[[Node], _T]) -> _T:
        """Run ``function`` on the broker's loop and wait for its result."""

        answer: Future[_T] = Future()

        def run() -> None:
            try:
                answer.set_result(function(self._node))
            except BaseException as error:
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return answer.result(_STOP_LIMIT_S)

    def stop(self) -> None:
        try:
            self.call(lambda node: node.close())
        finally:  # also where a full disk kept it from storing everything
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_LIMIT_S)
            self._loop.close()


class _ProcessRunner:
    """``rota broker`` as a child process."""

    def __init__(self, options: BrokerOptions) -> None:
        command = [sys.executable, "-m", "rota", "broker", "--port", str(options.port), "--stop-with-stdin"]
        command += ["--data", str(options.data_dir)] if options.data_dir else ["--memory"]
        command += ["--prompt-heartbeats"] if options.prompt_heartbeats else []
        for name, value in options.configs.items():
            command += ["--config", f"{name}={value}"]
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,  # held open by us: a test run that is killed takes its broker along
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._log: list[bytes] = []
        self._reader = threading.Thread(target=self._read_log, name="rota-broker-log", daemon=True)
        self._reader.start()
        self.pid = self._process.pid
        self.port = self._wait_for_address()

    def _read_log(self) -> None:
        # Read to the end, so that a broker that logs much is not stopped by a full pipe.
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line)
            del self._log[:-200]

    def _wait_for_address(self) -> int:
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + _START_LIMIT_S
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            line = b""
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    raise RotaError(f"the broker was not ready after {_START_LIMIT_S:.0f} s")
                piece = os.read(stdout.fileno(), 4096)
                if not piece:
                    self._process.wait()
                    self._reader.join(_STOP_LIMIT_S)
                    said = b"".join(self._log).decode(errors="replace").strip()
                    raise RotaError(f"the broker did not start: {said or 'it said nothing'}")
                line += piece
        return int(line.decode().rsplit(":", 1)[1])

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._reader.join(_STOP_LIMIT_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
