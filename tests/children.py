"""Servers that a test run starts: how they are ended, and that they never outlive it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence

__all__ = ["ServerProcess", "ending_with_parent"]

_STOP_TIMEOUT_S = 20.0


def ending_with_parent(command: Sequence[str]) -> list[str]:
    """The command, to be killed when whoever starts it is gone; unchanged where util-linux is missing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


class ServerProcess:
    """A server in a process of its own: it can be stopped, killed, and started again on its port and data."""

    process: subprocess.Popen[bytes] | None = None

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
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()
