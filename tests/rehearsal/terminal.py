"""A program on a terminal of its own: what it shows, and keys for it (a pty, no emulator needed)."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from types import TracebackType
from typing import Self

from tests.kafka.ports import PATIENCE_S

_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Starts ``python -m rota …``; ``wait_for`` reads until a text is on the screen."""

    def __init__(
        self, *arguments: str, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None
    ) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child: becomes the program
            time.sleep(0.2)  # the size is set by then
            # The environment in full: readline, in pytest, sets LINES and COLUMNS behind os.environ's back.
            kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "CI")}
            kept |= {"TERM": "xterm-256color", **(env or {})}
            os.execve(sys.executable, [sys.executable, "-m", "rota", *arguments], kept)
        self._code: int | None = None
        self.raw = ""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGTERM)
            self.wait()
        os.close(self._fd)

    @property
    def text(self) -> str:
        """Everything shown since the last ``forget``, without colours."""
        return _STYLES.sub("", self.raw)

    def frames(self) -> list[str]:
        """The screens shown since the last ``forget``, each from its top."""
        return [_STYLES.sub("", part) for part in self.raw.split("\x1b[H")[1:]]

    def forget(self) -> None:
        self.raw = ""

    def press(self, keys: str) -> None:
        """Type."""
        self.forget()
        os.write(self._fd, keys.encode())

    def wait_for(self, words: str, seconds: float = PATIENCE_S) -> None:
        """Read until the words were shown."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} was not shown; the last screen:\n{self.text[-3000:]}"
            if not self.read(left):
                raise AssertionError(f"ended without showing {words!r}:\n{self.text[-3000:]}")

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Read to the program's end; its exit code."""
        deadline = time.monotonic() + seconds
        while self.read(max(0.0, deadline - time.monotonic())):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code

    def read(self, seconds: float) -> bool:
        """Take in what comes within this time; false once the program has closed its terminal."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)
