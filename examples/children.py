"""Programs that an example starts: each line of their standard output is a report, and none outlives the example."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Child", "ChildEndedError", "end_with_parent", "now_ms", "report"]

CHECKOUT = Path(__file__).parents[1]
PATIENCE_S = 30.0

_PR_SET_PDEATHSIG = 1


def now_ms() -> int:
    """Milliseconds since 1970: all processes of an example share this machine's clock."""
    return time.time_ns() // 1_000_000


def report(what: str, **more: Any) -> None:
    """Tell whoever started this program; one write, so that lines of several threads do not mix."""
    line = json.dumps({"at_ms": now_ms(), "what": what, **more})
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def end_with_parent() -> None:
    """From now on this program ends with the one that started it, even frozen (the latter on Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the one that started it

    def wait_for_its_end() -> None:
        while os.read(sys.stdin.fileno(), 1024):  # nothing is ever written there
            pass
        os._exit(1)

    threading.Thread(target=wait_for_its_end, daemon=True).start()


class ChildEndedError(RuntimeError):
    """A program ended that nobody had asked to end."""


class Child:
    """``python -m module …`` in a process of its own; ``heard`` is called with its name and each of its reports.

    ``heard`` runs in a thread. What the program says on standard error goes to ``log``.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: list[str],
        log: Path,
        heard: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self.name = name
        self.asked_to_end = False
        self._log = log
        with log.open("ab") as sink:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                cwd=CHECKOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid
        self._reader = threading.Thread(
            target=self._read, args=(heard,), name=f"reports of {name}", daemon=True
        )
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended; a frozen one runs."""
        return self._popen.poll() is None

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if not self.running and not self.asked_to_end:
            words = self._log.read_text(errors="replace").strip().splitlines()
            raise ChildEndedError(f"{self.name} ended by itself: {words[-1] if words else 'it said nothing'}")

    def ask_to_end(self) -> None:
        """SIGTERM; one that is frozen hears of it when it goes on."""
        self.asked_to_end = True
        self._popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """``kill -9``, and wait for the end; its last reports have been heard then."""
        self.asked_to_end = True
        self._popen.kill()
        self.wait()

    def freeze(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._popen.send_signal(signal.SIGCONT)

    def wait(self, seconds: float = PATIENCE_S) -> None:
        """Until it has ended and all of its reports were heard; one that does not end is killed."""
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._reader.join()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def end(self) -> None:
        """Whatever state it is in: kill it, unless it has ended."""
        if self.running:
            self.kill()
        else:
            self.wait()

    def _read(self, heard: Callable[[str, dict[str, Any]], None]) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            if line.endswith(b"\n"):  # one that was killed while writing leaves half a line
                heard(self.name, json.loads(line))
