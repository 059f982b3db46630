"""A program that is started anew whenever one of its files changes: for whoever is writing it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

__all__ = ["PARENT", "Reloader", "changed", "files"]

log = logging.getLogger("rota.consumer")

PARENT = "ROTA_RELOADED_BY"
"""In the program's environment: the process that watches it. When that is gone, the program should end too."""

_LOOK_S = 0.25
_PATIENCE_S = 60.0
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}

Seen = dict[Path, tuple[int, int]]


def files(directory: Path) -> Seen:
    """Every Python file below, with time of change and size; virtual environments and hidden ones are not
    looked into.
    """
    found: Seen = {}
    for path in _below(directory):
        try:
            stat = path.stat()
        except OSError:
            continue  # it has just gone
        found[path] = (stat.st_mtime_ns, stat.st_size)
    return found


def changed(before: Mapping[Path, tuple[int, int]], after: Mapping[Path, tuple[int, int]]) -> list[Path]:
    """Files that came, went or were written."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


class Reloader:
    """Runs ``command`` until SIGTERM or SIGINT, again whenever a Python file below ``directory`` changes."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._command = list(command)
        self._directory = directory
        self._signals = 0
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """The exit code: 0 after a signal, if the program ended in order."""
        before = {number: signal.signal(number, self._heed) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        log.info("restarting whenever a .py file below %s changes", self._directory)
        seen = files(self._directory)
        child = self._start()
        told = False
        took_s = 0.0
        while not self._signals:
            time.sleep(max(_LOOK_S, 9 * took_s))  # a large directory costs a tenth of a processor, no more
            if not told and child.poll() is not None:
                told = True
                log.warning("it ended with %d; waiting for a change", child.returncode)
            began = time.monotonic()
            now = files(self._directory)
            took_s = time.monotonic() - began
            if different := changed(seen, now):
                seen = self._settled(now)
                log.info("%s changed: restarting", self._names(different))
                self._end(child)
                child, told = self._start(), False
        return self._end(child)

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl+C goes to us alone, and we pass one signal on.
        self._child = subprocess.Popen(  # noqa: S603  # ourselves
            self._command, start_new_session=True, env={**os.environ, PARENT: str(os.getpid())}
        )
        return self._child

    def _end(self, child: subprocess.Popen[bytes]) -> int:
        """Let it finish what has begun; a second signal to us, or a minute, ends it at once."""
        if child.poll() is not None:
            return max(child.returncode, 1) if child.returncode else 0
        child.send_signal(signal.SIGTERM)
        asked, until = self._signals, time.monotonic() + _PATIENCE_S
        while child.poll() is None:
            if self._signals > max(asked, 1) or time.monotonic() > until:
                log.warning("it does not end: killing it")
                child.kill()
                child.wait()
                break
            time.sleep(_LOOK_S / 5)
        return 0 if child.returncode == 0 else 1

    def _settled(self, now: Seen) -> Seen:
        """Editors and version control write many files one after the other."""
        while True:
            time.sleep(_LOOK_S)
            later = files(self._directory)
            if later == now:
                return now
            now = later

    def _names(self, paths: Sequence[Path]) -> str:
        first = paths[0].relative_to(self._directory)
        return str(first) if len(paths) == 1 else f"{first} and {len(paths) - 1} more"

    def _heed(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1


def _below(directory: Path) -> Iterator[Path]:
    for root, directories, names in os.walk(directory):
        here = Path(root)
        directories[:] = [
            name
            for name in directories
            if not name.startswith(".") and name not in _SKIPPED and not (here / name / "pyvenv.cfg").exists()
        ]
        yield from (here / name for name in names if name.endswith(".py"))
