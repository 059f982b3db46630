"""Servers that a test run starts: how they are ended, and that they never outlive it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kafka.ports import PATIENCE_S

__all__ = ["ServerProcess", "ending_with_parent"]


def ending_with_parent(command: Sequence[str]) -> list[str]:
    """The command, to be killed when whoever starts it is gone; unchanged where util-linux is missing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


class ServerProcess:
    """A server in a process of its own: it can be stopped, killed, and started again on its port and data.

    A context manager that starts and stops it. `config` holds broker settings under Kafka's names; `data_dir`
    keeps the data. Without it everything lies in a temporary directory that goes when the server stops.
    """

    kind: str

    def __init__(self, config: Mapping[str, str] | None = None, data_dir: Path | None = None) -> None:
        self.config = dict(config or {})
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if data_dir is None:
            self._scratch = tempfile.TemporaryDirectory(prefix=f"rota-{self.kind}-")
            data_dir = Path(self._scratch.name)
        self.directory = data_dir
        self.data_dir = data_dir / "data"
        self.log_file = data_dir / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.bootstrap_servers = ""
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def start(self) -> None:
        """Start, or start again; returns when clients can connect."""
        raise NotImplementedError

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if the server does not follow; only ever to the process started here."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: the server crashes; `start` recovers it."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop politely and come back on the same port with the same data."""
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self.process is not None
        return self.process.pid

    def _end(self, with_signal: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(with_signal)  # does nothing to one that has ended
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()
