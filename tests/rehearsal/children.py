"""Which processes a program has started, and whether they are still there (Linux: /proc)."""

import os
import time
from pathlib import Path

from tests.kafka.ports import PATIENCE_S


def descendants(pid: int) -> set[int]:
    """All children of a process, and theirs, that run now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def command_line(pid: int) -> str:
    """What a process was started as."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def all_gone(pids: set[int], within_s: float = PATIENCE_S) -> bool:
    """Whether every one of these processes ends within the time."""
    deadline = time.monotonic() + within_s
    while pids and time.monotonic() < deadline:
        pids = {pid for pid in pids if _runs(pid)}
        time.sleep(0.05)
    return not pids


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
