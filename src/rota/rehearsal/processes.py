"""Child processes: actors that record and obey, and the embedded broker.

Each runs in a session of its own, so that Ctrl+C reaches the director alone, and is ended by its own pid. Each
also ends by itself when the director is gone, for then its standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from rota.model import RotaError
from rota.rehearsal.recording import EventTail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rota.timeline.events import Event

__all__ = ["Actor", "EmbeddedBroker"]

STOP_LIMIT_S = 10.0
READY_LIMIT_S = 30.0


class Process:
    """One child; its standard error goes to ``log``."""

    def __init__(self, command: list[str], log: Path, *, stdout: int = subprocess.DEVNULL) -> None:
        self.log = log
        with log.open("ab") as sink:
            self._popen = subprocess.Popen(  # noqa: S603  # our own program
                command, stdin=subprocess.PIPE, stdout=stdout, stderr=sink, start_new_session=True
            )
        self.pid = self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet; a stopped (SIGSTOP) process runs."""
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within the time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(0.0, seconds))
        return not self.running

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        self.signal(signal.SIGKILL)
        self._popen.wait()
        self._close()

    def end(self, seconds: float = STOP_LIMIT_S) -> None:
        """SIGTERM, thawed if it was frozen; kill -9 if that does not help in time."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        if not self.wait(seconds):
            self.kill()
        self._close()

    def last_words(self) -> str:
        """The last line of its log, for a person who wonders why it ended."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def _close(self) -> None:
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Actor(Process):
    """A consumer or the producer: obeys lines, records into a file."""

    def __init__(self, module: str, arguments: list[str], events: Path, log: Path) -> None:
        command = [
            sys.executable,
            "-m",
            f"rota.rehearsal.actors.{module}",
            "--events",
            str(events),
            *arguments,
        ]
        super().__init__(command, log)

    def order(self, line: str) -> None:
        """One line of steering; lost if the actor has just ended."""
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            os.write(self._popen.stdin.fileno(), f"{line}\n".encode())


class EmbeddedBroker(Process):
    """Rota's broker on a free port, with its data and its coordinator's recording in ``directory``."""

    def __init__(self, directory: Path, configs: Mapping[str, str]) -> None:
        timeline = directory / "coordinator.jsonl"
        command = [sys.executable, "-m", "rota.rehearsal.actors.broker"]
        command += ["--data", str(directory / "data"), "--timeline", str(timeline)]
        for name, value in configs.items():
            command += ["--config", f"{name}={value}"]
        super().__init__(command, directory / "broker.log", stdout=subprocess.PIPE)
        self._tail = EventTail(timeline)
        self.bootstrap = self._ready()

    def read(self) -> list[Event]:
        """What the coordinator has recorded since the last time."""
        return self._tail.read()

    def _ready(self) -> str:
        """Wait for the line ``rota broker ready on HOST:PORT``."""
        stdout = self._popen.stdout
        assert stdout is not None
        deadline = time.monotonic() + READY_LIMIT_S
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                in_time = selector.select(max(0.0, deadline - time.monotonic()))
                piece = os.read(stdout.fileno(), 4096) if in_time else b""
                if not piece:
                    self.kill()
                    said = self.last_words() or "it said nothing"
                    raise RotaError(f"the embedded broker did not start: {said}")
                line += piece
        return line.decode().split()[-1]
